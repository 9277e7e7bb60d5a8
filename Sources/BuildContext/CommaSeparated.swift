/// One line of comma-separated values, in which quotes may stand around a whole value: `type=bind,"target=/a,b"`.
package enum CommaSeparated {
    /// - Returns: nil when quotes are not closed or stand inside a value.
    package static func values(_ line: String) -> [String]? {
        var values: [String] = []
        var rest = line.unicodeScalars[...]
        while true {
            if rest.first == "\"" {
                guard let value = quoted(&rest) else { return nil }
                values.append(value)
            } else {
                let value = rest.prefix { $0 != "," }
                if value.contains("\"") { return nil }
                rest = rest.dropFirst(value.count)
                values.append(String(value))
            }
            guard let comma = rest.popFirst() else { return values }
            if comma != "," { return nil }
        }
    }

    /// A value as it stands in a line.
    package static func field(_ value: String) -> String {
        guard value.contains(",") || value.contains("\"") else { return value }
        return "\"" + value.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    private static func quoted(_ rest: inout Substring.UnicodeScalarView) -> String? {
        var value = String.UnicodeScalarView()
        rest.removeFirst()
        while let scalar = rest.popFirst() {
            if scalar != "\"" {
                value.append(scalar)
            } else if rest.first == "\"" {
                value.append(scalar)
                rest.removeFirst()
            } else {
                return String(value)
            }
        }
        return nil
    }
}
