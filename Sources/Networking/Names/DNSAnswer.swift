import Linux

/// Writes answers of our own.
enum DNSAnswer {
    /// Names of containers change with them: nobody shall remember them for long.
    private static let secondsToLive: UInt32 = 5
    private static let isAnswer: UInt16 = 0x8000
    private static let isAuthority: UInt16 = 0x0400
    private static let isTruncated: UInt16 = 0x0200
    private static let recursionDesired: UInt16 = 0x0100
    private static let recursionAvailable: UInt16 = 0x0080

    /// The data of one record.
    enum Data {
        case address(IPAddress)
        case name(DNSName)

        var type: UInt16 {
            switch self {
            case .address(let address): address.isV4 ? DNSType.a : DNSType.aaaa
            case .name: DNSType.ptr
            }
        }

        var bytes: [UInt8] {
            switch self {
            case .address(let address): address.bytes
            case .name(let name): name.wire
            }
        }
    }

    /// An answer with these records, all about the name in question; none of them means that the name has no such.
    static func answer(_ query: DNSQuery, _ records: [Data], code: DNSCode = .noError, isOurs: Bool = true) -> [UInt8] {
        var bytes = header(query, code, answers: records.count, isOurs: isOurs) + query.question
        for record in records {
            let data = record.bytes
            // A pointer to the question's name, class IN.
            bytes += [0xc0, UInt8(DNSQuery.headerSize)] + number(record.type) + [0, 1]
            bytes += number(UInt16(secondsToLive >> 16)) + number(UInt16(secondsToLive & 0xffff))
            bytes += number(UInt16(data.count)) + data
        }
        return bytes + options(query)
    }

    /// A refusal of something that could not even be read.
    static func failure(_ error: DNSFormatError) -> [UInt8]? {
        guard let id = error.id else { return nil }
        return number(id) + number(isAnswer | error.code.rawValue) + [UInt8](repeating: 0, count: 8)
    }

    /// Says that the answer is too long for a datagram: the client asks again by TCP.
    static func truncated(_ query: DNSQuery) -> [UInt8] {
        var bytes = header(query, .noError, answers: 0, isOurs: false) + query.question + options(query)
        bytes[2] |= UInt8(isTruncated >> 8)
        return bytes
    }

    private static func header(_ query: DNSQuery, _ code: DNSCode, answers: Int, isOurs: Bool) -> [UInt8] {
        let flags = isAnswer | recursionAvailable | query.flags & recursionDesired | (isOurs ? isAuthority : 0) | code.rawValue
        return number(query.id) + number(flags) + [0, 1] + number(UInt16(answers)) + [0, 0]
            + number(query.datagramSize == nil ? 0 : 1)
    }

    /// Whoever speaks EDNS hears that we do, too.
    private static func options(_ query: DNSQuery) -> [UInt8] {
        query.datagramSize == nil ? [] : [0] + number(DNSType.opt) + number(4096) + [0, 0, 0, 0, 0, 0]
    }

    private static func number(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xff)] }
}

/// An answer of another server, as far as it concerns us: whether it answers the question, and how long it holds.
struct DNSReply {
    let id: UInt16
    let isTruncated: Bool
    /// Seconds that the whole answer may be remembered; nil for never.
    let secondsToLive: UInt32?
    /// Where times to live stand.
    let ttlPositions: [Int]

    /// Nil for what is no well-formed answer to the question.
    init?(_ bytes: [UInt8], to query: DNSQuery) {
        guard bytes.count >= DNSQuery.headerSize else { return nil }
        var reader = DNSReader(bytes, at: 0)
        let malformed = DNSFormatError()
        do throws(DNSFormatError) {
            id = try reader.number(or: malformed)
            let flags = try reader.number(or: malformed)
            let counts = (
                try reader.number(or: malformed), try reader.number(or: malformed), try reader.number(or: malformed), try reader.number(or: malformed)
            )
            guard flags & 0x8000 != 0, counts.0 == 1 else { return nil }
            let name = try reader.name(or: malformed)
            let (type, recordClass) = (try reader.number(or: malformed), try reader.number(or: malformed))
            guard name == query.name, type == query.type, recordClass == query.recordClass else { return nil }
            isTruncated = flags & 0x0200 != 0
            var lowest: UInt32?
            var positions: [Int] = []
            var hasNegative = false
            for _ in 0..<(Int(counts.1) + Int(counts.2) + Int(counts.3)) {
                let record = try reader.record(or: malformed)
                if record.type == DNSType.opt { continue }
                positions.append(record.ttlPosition)
                lowest = min(lowest ?? .max, record.ttl)
                if record.type == DNSType.soa, record.data.count >= 4 {
                    hasNegative = true
                    // Its last number says how long an absence holds (RFC 2308).
                    lowest = min(lowest ?? .max, bytes[record.data.suffix(4)].reduce(0) { $0 << 8 | UInt32($1) })
                }
            }
            let code = flags & 15
            let holds = code == 0 && counts.1 > 0 || (code == 0 || code == DNSCode.noSuchName.rawValue) && hasNegative
            secondsToLive = holds && !isTruncated ? lowest : nil
            ttlPositions = positions
        } catch {
            return nil
        }
    }
}
