/// A name of the domain name system, in small letters: comparing it ignores case.
struct DNSName: Hashable, Sendable, CustomStringConvertible {
    /// Without the empty one at the end.
    let labels: [[UInt8]]

    init(labels: [[UInt8]]) {
        self.labels = labels.map { $0.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 } }
    }

    init(_ text: some StringProtocol) {
        self.init(labels: text.utf8.split(separator: UInt8(ascii: ".")).map { Array($0) })
    }

    var description: String { labels.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ".") }

    /// Whether a message can hold it.
    var fits: Bool { labels.allSatisfy { (1...63).contains($0.count) } && labels.reduce(1) { $0 + 1 + $1.count } <= 255 }

    /// With lengths, as messages hold it. Only for a name that fits.
    var wire: [UInt8] { labels.flatMap { [UInt8($0.count & 63)] + $0 } + [0] }
}

/// The types of records that we have something to say about.
enum DNSType {
    static let a: UInt16 = 1
    static let soa: UInt16 = 6
    static let ptr: UInt16 = 12
    static let aaaa: UInt16 = 28
    static let opt: UInt16 = 41
    static let any: UInt16 = 255
}

/// How a question was answered (RFC 1035, 4.1.1).
enum DNSCode: UInt16 {
    case noError = 0
    case formatError = 1
    case serverFailure = 2
    case noSuchName = 3
    case notImplemented = 4
    case refused = 5
}

/// A message that breaks the rules, with as much of it as an answer needs.
struct DNSFormatError: Error, Equatable {
    /// Nil when not even an identifier is there, or when it is no question: then silence is the answer.
    var id: UInt16?
    var code = DNSCode.formatError
}

/// A question as it came from a container. Anything but exactly one well-formed question is refused.
///
/// ```
/// u16 id | u16 flags | u16 questions | u16 answers | u16 authorities | u16 additionals
/// question: { u8 length | label } … 0 | u16 type | u16 class        additional: name | u16 type | u16 class | u32 ttl | u16 length | data
/// ```
struct DNSQuery: Sendable, Equatable {
    let bytes: [UInt8]
    let id: UInt16
    let flags: UInt16
    let name: DNSName
    let type: UInt16
    let recordClass: UInt16
    /// The question as it was written: answers repeat it.
    let question: [UInt8]
    /// The datagram that the client can take, when it has said so (EDNS).
    let datagramSize: Int?
    /// Whether it wants signatures (EDNS's DO).
    let wantsSignatures: Bool

    static let headerSize = 12

    init(_ bytes: [UInt8]) throws(DNSFormatError) {
        guard bytes.count >= 2 else { throw DNSFormatError() }
        let id = UInt16(bytes[0]) << 8 | UInt16(bytes[1])
        let malformed = DNSFormatError(id: id)
        guard bytes.count >= Self.headerSize else { throw malformed }
        var reader = DNSReader(bytes, at: 2)
        let flags = try reader.number(or: malformed)
        guard flags & 0x8000 == 0 else { throw DNSFormatError() }  // An answer that nobody asked for.
        guard flags & 0x7800 == 0 else { throw DNSFormatError(id: id, code: .notImplemented) }
        let counts = (
            try reader.number(or: malformed), try reader.number(or: malformed), try reader.number(or: malformed), try reader.number(or: malformed)
        )
        guard counts.0 == 1, counts.1 == 0, counts.2 == 0, counts.3 <= 4 else { throw malformed }
        let name = try reader.name(or: malformed)
        let type = try reader.number(or: malformed)
        let recordClass = try reader.number(or: malformed)
        let question = Array(bytes[Self.headerSize..<reader.position])
        var size: Int?
        var wantsSignatures = false
        for _ in 0..<counts.3 {
            let record = try reader.record(or: malformed)
            guard record.type == DNSType.opt else { continue }
            guard size == nil else { throw malformed }
            size = max(512, Int(record.recordClass))
            wantsSignatures = record.ttl & 0x8000 != 0
        }
        guard reader.isAtEnd else { throw malformed }
        self.init(
            bytes: bytes, id: id, flags: flags, name: name, type: type, recordClass: recordClass, question: question,
            datagramSize: size, wantsSignatures: wantsSignatures)
    }

    private init(
        bytes: [UInt8], id: UInt16, flags: UInt16, name: DNSName, type: UInt16, recordClass: UInt16, question: [UInt8],
        datagramSize: Int?, wantsSignatures: Bool
    ) {
        self.bytes = bytes
        self.id = id
        self.flags = flags
        self.name = name
        self.type = type
        self.recordClass = recordClass
        self.question = question
        self.datagramSize = datagramSize
        self.wantsSignatures = wantsSignatures
    }

    /// The largest datagram that may come back.
    var largestAnswer: Int { min(datagramSize ?? 512, 4096) }
}

/// Reads a message from front to back and never beyond its end.
struct DNSReader {
    private let bytes: [UInt8]
    private(set) var position: Int

    struct Record {
        let type: UInt16
        let recordClass: UInt16
        let ttl: UInt32
        /// Where the time to live stands, and the data.
        let ttlPosition: Int
        let data: Range<Int>
    }

    init(_ bytes: [UInt8], at position: Int) {
        self.bytes = bytes
        self.position = position
    }

    var isAtEnd: Bool { position == bytes.count }

    mutating func number(or error: DNSFormatError) throws(DNSFormatError) -> UInt16 {
        guard position + 2 <= bytes.count else { throw error }
        defer { position += 2 }
        return UInt16(bytes[position]) << 8 | UInt16(bytes[position + 1])
    }

    /// A name without pointers: at its first place nothing is there to point at.
    mutating func name(or error: DNSFormatError) throws(DNSFormatError) -> DNSName {
        var labels: [[UInt8]] = []
        let start = position
        while true {
            guard position < bytes.count else { throw error }
            let length = Int(bytes[position])
            position += 1
            if length == 0 { return DNSName(labels: labels) }
            guard length <= 63, position + length <= bytes.count, position + length - start <= 254 else { throw error }
            labels.append(Array(bytes[position..<position + length]))
            position += length
        }
    }

    /// Skips a name, which may end with a pointer; pointers are not followed.
    mutating func skipName(or error: DNSFormatError) throws(DNSFormatError) {
        let start = position
        while true {
            guard position < bytes.count else { throw error }
            let length = Int(bytes[position])
            if length & 0xc0 == 0xc0 {
                guard position + 2 <= bytes.count else { throw error }
                position += 2
                return
            }
            guard length <= 63, position + 1 + length <= bytes.count, position - start <= 254 else { throw error }
            position += 1 + length
            if length == 0 { return }
        }
    }

    mutating func record(or error: DNSFormatError) throws(DNSFormatError) -> Record {
        try skipName(or: error)
        let type = try number(or: error)
        let recordClass = try number(or: error)
        let ttlPosition = position
        let ttl = UInt32(try number(or: error)) << 16 | UInt32(try number(or: error))
        let length = Int(try number(or: error))
        guard position + length <= bytes.count else { throw error }
        defer { position += length }
        return Record(
            type: type, recordClass: recordClass, ttl: ttl, ttlPosition: ttlPosition, data: position..<position + length)
    }
}
