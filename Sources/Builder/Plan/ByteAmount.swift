/// Amounts of memory as `64m`, `1.5GiB` or `4096`.
public enum ByteAmount {
    /// - Returns: nil when the text is no amount, is negative or too large for 63 bits.
    public static func bytes(_ text: String) -> Int64? {
        let number = text.unicodeScalars.prefix { ("0"..."9").contains($0) || $0 == "." }
        var unit = String(text.unicodeScalars.dropFirst(number.count)).lowercased()
        if unit.hasPrefix(" ") { unit.removeFirst() }
        if unit.hasSuffix("ib"), unit.count == 3 { unit.removeLast(2) }
        if unit.hasSuffix("b"), unit.count == 2 { unit.removeLast() }
        let shifts: [String: Double] = ["": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5]
        guard let value = Double(String(String.UnicodeScalarView(number))), let power = shifts[unit] else { return nil }
        var total = value
        for _ in 0..<Int(power) { total *= 1024 }
        return Int64(exactly: total.rounded(.down))
    }
}
