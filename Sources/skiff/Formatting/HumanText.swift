import FoundationEssentials

/// Sizes, times and names as Docker's tables show them.
enum HumanText {
    /// `7.8MB`: powers of 1000 with so many significant digits.
    static func size(_ bytes: Int64, digits: Int = 4) -> String {
        scaled(Double(bytes), 1000, ["B", "kB", "MB", "GB", "TB", "PB", "EB"], digits)
    }

    /// `1.5GiB`: powers of 1024.
    static func binarySize(_ bytes: Double) -> String {
        scaled(bytes, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"], 4)
    }

    private static func scaled(_ value: Double, _ base: Double, _ units: [String], _ digits: Int) -> String {
        var (rest, index) = (value, 0)
        while rest >= base, index < units.count - 1 {
            rest /= base
            index += 1
        }
        return significant(rest, digits) + units[index]
    }

    /// A number with so many significant digits and no zeros at the end, in scientific form when it is too large for
    /// them: C's `%.4g`.
    static func significant(_ value: Double, _ digits: Int) -> String {
        guard value != 0 else { return "0" }
        let whole = decimal(abs(value), places: 0)
        var magnitude = abs(value) >= 1 ? whole.count : leadingZeros(abs(value))
        // Rounding may carry into a new digit: 999.96 has four.
        if abs(value) >= 1 { magnitude = String(Int64(abs(value))).count }
        let rounded = decimal(abs(value), places: max(0, digits - magnitude))
        if abs(value) >= 1, rounded.prefix(while: { $0 != "." }).count > digits {
            let exponent = rounded.prefix { $0 != "." }.count - 1
            let mantissa = trimmed(decimal(abs(value) / power(10, exponent), places: digits - 1))
            return "\(value < 0 ? "-" : "")\(mantissa)e+\(exponent < 10 ? "0" : "")\(exponent)"
        }
        return (value < 0 ? "-" : "") + trimmed(rounded)
    }

    /// Zero or less: how many places the first digit stands behind the point, less one.
    private static func leadingZeros(_ value: Double) -> Int {
        var (rest, zeros) = (value * 10, 0)
        while rest < 1, zeros > -20 {
            rest *= 10
            zeros -= 1
        }
        return zeros
    }

    private static func trimmed(_ text: String) -> String {
        guard text.contains(".") else { return text }
        var short = text[...]
        while short.last == "0" { short.removeLast() }
        if short.last == "." { short.removeLast() }
        return String(short)
    }

    /// A number with exactly so many places: C's `%.2f`.
    static func decimal(_ value: Double, places: Int) -> String {
        let factor = power(10, places)
        let product = abs(value) * factor
        guard product < 9e18 else { return "\(value)" }
        // What the multiplication rounded away decides between two neighbours that seem equally near.
        let lost = (-product).addingProduct(abs(value), factor)
        let isTie = product - product.rounded(.down) == 0.5 && lost != 0
        let scaled = isTie ? product.rounded(lost > 0 ? .up : .down) : product.rounded(.toNearestOrEven)
        var digits = String(Int64(scaled))
        if digits.count <= places { digits = String(repeating: "0", count: places + 1 - digits.count) + digits }
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard places > 0 else { return sign + digits }
        return "\(sign)\(digits.dropLast(places)).\(digits.suffix(places))"
    }

    private static func power(_ base: Double, _ exponent: Int) -> Double {
        (0..<exponent).reduce(1) { value, _ in value * base }
    }

    /// `About a minute`, `3 days`
    static func duration(_ seconds: Double) -> String {
        let whole = Int(seconds)
        let minutes = whole / 60
        let hours = Int((seconds / 3600).rounded())
        switch true {
        case whole < 1: return "Less than a second"
        case whole == 1: return "1 second"
        case whole < 60: return "\(whole) seconds"
        case minutes == 1: return "About a minute"
        case minutes < 60: return "\(minutes) minutes"
        case hours == 1: return "About an hour"
        case hours < 48: return "\(hours) hours"
        case hours < 24 * 7 * 2: return "\(hours / 24) days"
        case hours < 24 * 30 * 2: return "\(hours / 24 / 7) weeks"
        case hours < 24 * 365 * 2: return "\(hours / 24 / 30) months"
        default: return "\(Int(seconds / 3600) / 24 / 365) years"
        }
    }

    static func ago(unixTime: Int64, now: Date = Date()) -> String {
        duration(now.timeIntervalSince1970 - Double(unixTime)) + " ago"
    }

    /// The same of a time as the API writes it; nothing when it is none.
    static func ago(rfc3339 text: String?) -> String {
        text.flatMap { unixTime($0) }.map { ago(unixTime: Int64($0)) } ?? ""
    }

    /// `2026-01-02 03:04:05 +0000 UTC`
    static func timestamp(unixTime: Int64) -> String {
        let date = Date(timeIntervalSince1970: Double(unixTime))
        let text = date.formatted(Date.ISO8601FormatStyle(dateTimeSeparator: .space))
        return (text.hasSuffix("Z") ? String(text.dropLast()) : text) + " +0000 UTC"
    }

    /// Seconds since 1970 of a time such as `2026-01-02T03:04:05.123456789Z`; nil when it is none.
    static func unixTime(_ timestamp: String) -> Double? {
        let main = timestamp.prefix { $0 != "." && $0 != "Z" && $0 != "+" }
        guard main.count >= 19 else { return nil }
        let rest = timestamp.dropFirst(main.count)
        let fraction = rest.first == "." ? Double("0" + rest.prefix { $0 == "." || $0.isNumber }) ?? 0 : 0
        // A text that is no time is answered with nil, as said above.
        guard let date = try? Date(main.prefix(19) + "Z", strategy: .iso8601) else { return nil }
        return date.timeIntervalSince1970 + fraction
    }

    /// The first twelve digits of an id.
    static func shortID(_ id: String) -> String {
        let digits = id.utf8[(id.utf8.lastIndex(of: UInt8(ascii: ":")).map { id.utf8.index(after: $0) } ?? id.startIndex)...]
        return String(Substring(digits.prefix(12)))
    }

    /// At most so many characters, the last one a sign that some are missing.
    static func ellipsis(_ text: String, _ width: Int) -> String {
        text.count <= width ? text : text.prefix(width - 1) + "…"
    }

    /// In double quotes, with everything escaped that needs it.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case "\r": result += "\\r"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let hex = String(scalar.value, radix: 16)
                result += "\\x" + (hex.count == 1 ? "0" : "") + hex
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
