/// Takes an answer of HTTP/1.1 apart as it arrives: its head, then its body in the framing that the head names
/// (RFC 9112, section 6).
///
/// Every call gets `receive`, which gives the next bytes of the connection and none at its end.
struct AnswerReader {
    typealias Receive = () throws -> [UInt8]

    private static let longestHead = 64 << 10
    private static let longestLine = 4 << 10

    private enum Framing {
        /// There is no body, or it is over.
        case nothing
        case length(Int)
        /// Chunks, of which the present one has so many bytes left. Behind its last byte a line ends, which need not have come.
        case chunks(left: Int, endsLine: Bool)
        /// Everything up to the end of the connection.
        case toTheEnd
    }

    private var pending: ArraySlice<UInt8> = []
    private var framing = Framing.nothing

    /// The head of the answer. `hijacks`: what follows a success is the stream of the container, not a body.
    mutating func head(hasBody: Bool, hijacks: Bool, _ receive: Receive) throws -> AnswerHead {
        while true {
            let text = try headText(receive)
            guard let head = AnswerHead(text) else { throw EngineConnectionError(.other, "the answer of the engine is not HTTP") }
            // Interim answers come before the real one.
            if (100..<200).contains(head.status), head.status != 101 { continue }
            framing = try Self.framing(head, hasBody: hasBody, hijacks: hijacks)
            return head
        }
    }

    private mutating func headText(_ receive: Receive) throws -> String {
        let mark = Array("\r\n\r\n".utf8)
        var searched = pending.startIndex
        while true {
            if let end = pending[searched...].firstRange(of: mark) {
                let text = String(decoding: pending[..<end.upperBound], as: UTF8.self)
                pending = pending[end.upperBound...]
                return text
            }
            guard pending.count <= Self.longestHead else {
                throw EngineConnectionError(.other, "the answer of the engine has no end of its head")
            }
            let bytes = try receive()
            guard !bytes.isEmpty else { throw EngineConnectionError(.other, "the engine closed the connection without an answer") }
            searched = max(searched, pending.endIndex - (mark.count - 1))
            pending += bytes
        }
    }

    private static func framing(_ head: AnswerHead, hasBody: Bool, hijacks: Bool) throws -> Framing {
        if hijacks, head.status < 300 { return .toTheEnd }
        guard hasBody, head.status != 204, head.status != 304 else { return .nothing }
        if let coding = head.first("transfer-encoding") {
            guard coding.lowercased() == "chunked" else {
                throw EngineConnectionError(.other, "the engine answers in an unknown coding: \(coding)")
            }
            return .chunks(left: 0, endsLine: false)
        }
        guard let length = head.first("content-length") else { return .toTheEnd }
        guard let count = Int(length), count >= 0 else {
            throw EngineConnectionError(.other, "the engine answers with a wrong length: \(length)")
        }
        return .length(count)
    }

    /// The next bytes of the body, as many as are there; nil at its end.
    mutating func next(_ receive: Receive) throws -> [UInt8]? {
        switch framing {
        case .nothing: return nil
        case .toTheEnd:
            let bytes = pending.isEmpty ? try receive() : Array(pending)
            pending = []
            if bytes.isEmpty { framing = .nothing }
            return bytes.isEmpty ? nil : bytes
        case .length(let left):
            guard left > 0 else { return nil }
            let bytes = try take(atMost: left, receive)
            framing = .length(left - bytes.count)
            return bytes
        case .chunks(var left, let endsLine):
            if endsLine, try !line(receive).isEmpty { throw Self.wrongChunk }
            if left == 0 { left = try chunkLength(receive) }
            guard left > 0 else {
                while try !line(receive).isEmpty {}  // Trailers.
                framing = .nothing
                return nil
            }
            let bytes = try take(atMost: left, receive)
            framing = .chunks(left: left - bytes.count, endsLine: bytes.count == left)
            return bytes
        }
    }

    private static let wrongChunk = EngineConnectionError(.other, "the engine answers with a wrong chunk")
    private static let cutOff = EngineConnectionError(.other, "unexpected EOF")

    private mutating func take(atMost count: Int, _ receive: Receive) throws -> [UInt8] {
        if pending.isEmpty {
            pending = try receive()[...]
            guard !pending.isEmpty else { throw Self.cutOff }
        }
        let bytes = Array(pending.prefix(count))
        pending = pending.dropFirst(bytes.count)
        return bytes
    }

    private mutating func chunkLength(_ receive: Receive) throws -> Int {
        let digits = try line(receive).prefix { $0 != ";" && $0 != " " }
        guard let count = Int(digits, radix: 16), count >= 0, digits.first != "+" else { throw Self.wrongChunk }
        return count
    }

    /// A line without its end.
    private mutating func line(_ receive: Receive) throws -> String {
        while true {
            if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                var line = pending[..<end]
                pending = pending[(end + 1)...]
                if line.last == UInt8(ascii: "\r") { line.removeLast() }
                return String(decoding: line, as: UTF8.self)
            }
            guard pending.count <= Self.longestLine else { throw Self.wrongChunk }
            let bytes = try receive()
            guard !bytes.isEmpty else { throw Self.cutOff }
            pending += bytes
        }
    }
}
