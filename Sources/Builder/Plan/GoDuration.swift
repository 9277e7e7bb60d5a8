/// Lengths of time as `1h30m`, `1.5s` or `300ms`.
enum GoDuration {
    private static let units: [String: Double] = [
        "ns": 1, "us": 1e3, "µs": 1e3, "μs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9,
    ]

    /// - Returns: nil when the text is not a length of time or too long for 63 bits.
    static func nanoseconds(_ text: String) -> Int64? {
        var rest = text.unicodeScalars[...]
        let sign: Double = rest.first == "-" ? -1 : 1
        if rest.first == "-" || rest.first == "+" { rest.removeFirst() }
        if String(rest) == "0" { return 0 }
        var total = 0.0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let number = rest.prefix { ("0"..."9").contains($0) || $0 == "." }
            rest = rest.dropFirst(number.count)
            let unit = rest.prefix { !("0"..."9").contains($0) && $0 != "." }
            rest = rest.dropFirst(unit.count)
            guard let value = Double(String(number)), let factor = units[String(unit)] else { return nil }
            total += value * factor
        }
        return Int64(exactly: (sign * total).rounded())
    }
}
