import Linux

/// Answers of other servers, as long as they hold. Used by one thread.
struct AnswerCache {
    private struct Key: Hashable {
        let servers: [String]
        let name: DNSName
        let type: UInt16
        let recordClass: UInt16
        let speaksEDNS: Bool
        let wantsSignatures: Bool
    }

    private struct Entry {
        let bytes: [UInt8]
        let ttlPositions: [Int]
        let storedAt: Int64
        let seconds: UInt32
    }

    private var entries: [Key: Entry] = [:]
    private let limit: Int
    private static let longestSeconds: UInt32 = 300
    /// Larger answers are rare and asked for rarely.
    private static let largestAnswer = 2048

    init(limit: Int = 1000) {
        self.limit = limit
    }

    /// The answer to a question, with its identifier and with times to live that have gone on. `now` is in milliseconds.
    func answer(_ query: DNSQuery, servers: [String], now: Int64) -> [UInt8]? {
        guard let entry = entries[key(query, servers)] else { return nil }
        let age = UInt32(clamping: (now - entry.storedAt) / 1000)
        guard age < entry.seconds else { return nil }
        var bytes = entry.bytes
        bytes[0] = UInt8(query.id >> 8)
        bytes[1] = UInt8(query.id & 0xff)
        // The question as this client has written it.
        bytes.replaceSubrange(DNSQuery.headerSize..<DNSQuery.headerSize + query.question.count, with: query.question)
        for position in entry.ttlPositions {
            let ttl = bytes[position..<position + 4].reduce(0) { $0 << 8 | UInt32($1) }
            let left = ttl > age ? ttl - age : 0
            for index in 0..<4 { bytes[position + index] = UInt8(truncatingIfNeeded: left >> UInt32(24 - index * 8)) }
        }
        return bytes
    }

    mutating func store(_ bytes: [UInt8], _ reply: DNSReply, to query: DNSQuery, servers: [String], now: Int64) {
        guard let seconds = reply.secondsToLive, seconds > 0, bytes.count <= Self.largestAnswer else { return }
        if entries.count >= limit { makeRoom(now) }
        entries[key(query, servers)] = Entry(
            bytes: bytes, ttlPositions: reply.ttlPositions, storedAt: now, seconds: min(seconds, Self.longestSeconds))
    }

    /// Drops what holds no longer, and everything when that is not enough: the next questions bring it back.
    private mutating func makeRoom(_ now: Int64) {
        entries = entries.filter { (now - $0.value.storedAt) / 1000 < Int64($0.value.seconds) }
        if entries.count >= limit { entries = [:] }
    }

    mutating func removeAll() { entries = [:] }

    private func key(_ query: DNSQuery, _ servers: [String]) -> Key {
        Key(
            servers: servers, name: query.name, type: query.type, recordClass: query.recordClass,
            speaksEDNS: query.datagramSize != nil, wantsSignatures: query.wantsSignatures)
    }
}
