import Linux

/// The extended header of an entry: records of the form `length key=value\n`, the length counting itself.
struct PaxRecords {
    private(set) var values: [(key: String, value: ArraySlice<UInt8>)] = []

    init(parsing bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            // Some programs fill up with zeros.
            if rest.allSatisfy({ $0 == 0 }) { return }
            guard let space = rest.prefix(20).firstIndex(of: UInt8(ascii: " ")),
                let length = decimal(rest[..<space]), length <= rest.count, length > space - rest.startIndex + 2
            else { throw ArchiveError.malformed("extended tar header") }
            let end = rest.startIndex + Int(length)
            let record = rest[(space + 1)..<(end - 1)]
            guard rest[end - 1] == UInt8(ascii: "\n"), let equals = record.firstIndex(of: UInt8(ascii: "=")) else {
                throw ArchiveError.malformed("extended tar header")
            }
            values.append((String(decoding: record[..<equals], as: UTF8.self), record[(equals + 1)...]))
            rest = rest[end...]
        }
    }

    /// The last one counts.
    subscript(_ key: String) -> ArraySlice<UInt8>? { values.last { $0.key == key }?.value }

    func number(_ key: String) throws -> Int64? {
        guard let text = self[key], !text.isEmpty else { return nil }
        guard let value = decimal(text) else { throw ArchiveError.malformed("\(key) in an extended tar header") }
        return value
    }

    /// Seconds with a fraction, perhaps negative.
    func time(_ key: String) throws -> FileMetadata.Time? {
        guard let text = self[key], !text.isEmpty else { return nil }
        let negative = text.first == UInt8(ascii: "-")
        let parts = (negative ? text.dropFirst() : text).split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count <= 2, let seconds = decimal(parts[0]) else {
            throw ArchiveError.malformed("\(key) in an extended tar header")
        }
        var nanoseconds: Int64 = 0
        if parts.count == 2 {
            let digits = parts[1].prefix(9)
            guard let fraction = digits.isEmpty ? 0 : decimal(digits) else {
                throw ArchiveError.malformed("\(key) in an extended tar header")
            }
            nanoseconds = (digits.count..<9).reduce(fraction) { value, _ in value * 10 }
        }
        if !negative { return .init(seconds: seconds, nanoseconds: nanoseconds) }
        return nanoseconds == 0
            ? .init(seconds: -seconds) : .init(seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds)
    }

    /// Attributes as Schilling's star and everybody after it writes them.
    func attributes(limit: Int) throws -> [TarAttribute] {
        let prefix = "SCHILY.xattr."
        var found: [String: [UInt8]] = [:]
        for (key, value) in values where key.hasPrefix(prefix) {
            found[String(key.dropFirst(prefix.count))] = Array(value)
            if found.count > limit { throw ArchiveError.tooLarge("more than \(limit) attributes of one file") }
        }
        return found.sorted { $0.key < $1.key }.map { TarAttribute(name: $0.key, value: $0.value) }
    }
}

/// Decimal digits only, below 2^62.
func decimal(_ digits: some Collection<UInt8>) -> Int64? {
    guard !digits.isEmpty else { return nil }
    var value: Int64 = 0
    for digit in digits {
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit), value < 1 << 58 else { return nil }
        value = value * 10 + Int64(digit - UInt8(ascii: "0"))
    }
    return value
}
