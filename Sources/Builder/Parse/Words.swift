import BuildContext

/// Splits at white space outside quotes; quotes and escape characters stay in the words.
enum Words {
    static func split(_ text: String, escape: Unicode.Scalar) -> [String] {
        var words: [String] = []
        var word = String.UnicodeScalarView()
        var quote: Unicode.Scalar?
        var scalars = text.unicodeScalars.makeIterator()
        while let scalar = scalars.next() {
            if quote == nil && scalar.isBlank {
                if !word.isEmpty { words.append(String(word)) }
                word = String.UnicodeScalarView()
                continue
            }
            if scalar == escape && quote != "'" {
                // An escape character at the very end stands for nothing.
                guard let next = scalars.next() else { break }
                word.append(scalar)
                word.append(next)
                continue
            }
            if let open = quote {
                if scalar == open { quote = nil }
            } else if scalar == "'" || scalar == "\"" {
                quote = scalar
            }
            word.append(scalar)
        }
        if !word.isEmpty { words.append(String(word)) }
        return words
    }

    /// Takes the words that begin with `--` off the front; a lone `--` ends them. Here quotes and escapes are resolved.
    static func flags(of text: String) -> (flags: [String], rest: String) {
        var flags: [String] = []
        var rest = text.unicodeScalars.drop { $0.isBlank }
        while rest.starts(with: "--".unicodeScalars) {
            let word = takeFlag(&rest)
            if word == "--" { break }
            flags.append(word)
            rest = rest.drop { $0.isBlank }
        }
        return (flags, String(rest).trimmed())
    }

    private static func takeFlag(_ rest: inout Substring.UnicodeScalarView) -> String {
        var word = String.UnicodeScalarView()
        var quote: Unicode.Scalar?
        while let scalar = rest.first {
            if quote == nil && scalar.isBlank { break }
            rest.removeFirst()
            if scalar == "\\" {
                if let next = rest.popFirst() { word.append(next) }
            } else if scalar == quote {
                quote = nil
            } else if quote == nil && (scalar == "'" || scalar == "\"") {
                quote = scalar
            } else {
                word.append(scalar)
            }
        }
        return String(word)
    }
}
