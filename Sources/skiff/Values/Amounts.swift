// Amounts as Docker writes them on the command line.

/// `512`, `512b`, `64k`, `1.5g`, `1GiB`; powers of 1024.
func byteCount(_ text: String) throws -> Int64 {
    let failure = FlagValueError("invalid size: '\(text)'")
    let lower = text.lowercased()
    guard let lastDigit = lower.lastIndex(where: \.isNumber), let number = Double(lower[...lastDigit]), number >= 0 else {
        throw failure
    }
    let unit = lower[lower.index(after: lastDigit)...].drop { $0 == " " }
    let powers: [Substring: Int] = ["": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5]
    let short = unit.hasSuffix("ib") ? unit.dropLast(2) : unit.count > 1 && unit.hasSuffix("b") ? unit.dropLast() : unit
    guard let power = powers[short], unit != "ib" else { throw failure }
    let bytes = (0..<power).reduce(number) { value, _ in value * 1024 }
    guard bytes < 9.2e18 else { throw failure }
    return Int64(bytes)
}

/// Bytes per second: `10mbit`, `1.5gbit` (bits, powers of 1000, as networks are sold), or an amount of bytes as `1m`.
func byteRate(_ text: String) throws -> Int64 {
    let lower = text.lowercased()
    guard lower.hasSuffix("bit") else {
        do {
            return try byteCount(text)
        } catch {
            throw FlagValueError("invalid rate: '\(text)'; bits are written as 10mbit, bytes as 1m")
        }
    }
    let powers: [Character: Double] = ["k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12]
    var number = lower.dropLast(3)
    let factor = number.last.flatMap { powers[$0] }
    if factor != nil { number.removeLast() }
    guard let amount = Double(number), amount.isFinite, amount >= 0, number.first?.isNumber == true else {
        throw FlagValueError("invalid rate: '\(text)'; bits are written as 10mbit, bytes as 1m")
    }
    let bytes = amount * (factor ?? 1) / 8
    guard bytes < 9.2e18, bytes == 0 || bytes >= 1 else { throw FlagValueError("invalid rate: '\(text)'") }
    return Int64(bytes)
}

/// A decimal number of processors in billionths: `1.5` is 1500000000.
func nanoProcessors(_ text: String) throws -> Int64 {
    let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    let failure = FlagValueError("failed to parse \(text) as a rational number")
    guard !text.isEmpty, text != ".", let whole = parts[0].isEmpty ? 0 : Int64(parts[0]), whole >= 0 else { throw failure }
    guard parts.count == 2 else { return whole * 1_000_000_000 }
    guard parts[1].allSatisfy({ $0.isASCII && $0.isNumber }) else { throw failure }
    guard parts[1].count <= 9 else { throw FlagValueError("value is too precise") }
    let padded = parts[1] + String(repeating: "0", count: 9 - parts[1].count)
    return whole * 1_000_000_000 + (Int64(padded) ?? 0)
}

/// A duration of the form `1h30m`, `500ms`, `1.5s` in nanoseconds.
func nanoseconds(_ text: String) throws -> Int64 {
    let failure = FlagValueError("time: invalid duration \"\(text)\"")
    var rest = text[...]
    let sign: Double = rest.first == "-" ? -1 : 1
    if rest.first == "-" || rest.first == "+" { rest.removeFirst() }
    if rest == "0" { return 0 }
    guard !rest.isEmpty else { throw failure }
    let units: [Substring: Double] = [
        "ns": 1, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9,
    ]
    var total = 0.0
    while !rest.isEmpty {
        let digits = rest.prefix { $0.isNumber || $0 == "." }
        rest = rest.dropFirst(digits.count)
        let name = rest.prefix { !$0.isNumber && $0 != "." }
        rest = rest.dropFirst(name.count)
        guard let number = Double(digits) else { throw failure }
        guard !name.isEmpty else { throw FlagValueError("time: missing unit in duration \"\(text)\"") }
        guard let unit = units[name] else {
            throw FlagValueError("time: unknown unit \"\(name)\" in duration \"\(text)\"")
        }
        total += number * unit
    }
    return Int64(sign * total)
}
