/// What a registry asks for with a 401: one challenge of a `WWW-Authenticate` header.
struct Challenge: Sendable, Equatable {
    /// In lower case: `basic`, `bearer`.
    var scheme: String
    /// Names in lower case.
    var parameters: [String: String]

    /// All challenges of all headers. What cannot be read is left out.
    static func parse(_ headers: [String]) -> [Challenge] {
        headers.prefix(8).flatMap { header -> [Challenge] in
            var reader = ChallengeReader(header.prefix(8192))
            return reader.challenges()
        }
    }
}

/// Reads the grammar of RFC 9110, 11.6.1: challenges separated by commas, each a scheme and parameters separated by commas.
private struct ChallengeReader {
    private var rest: Substring

    init(_ text: Substring) { rest = text }

    mutating func challenges() -> [Challenge] {
        var found: [Challenge] = []
        while true {
            skip { $0 == " " || $0 == "\t" || $0 == "," }
            let word = token()
            guard !word.isEmpty else { return found }
            skip { $0 == " " || $0 == "\t" }
            if rest.first == "=", !found.isEmpty {
                rest.removeFirst()
                guard let value = value() else { return found }
                found[found.count - 1].parameters[word.lowercased()] = value
            } else {
                found.append(Challenge(scheme: word.lowercased(), parameters: [:]))
            }
        }
    }

    private mutating func value() -> String? {
        skip { $0 == " " || $0 == "\t" }
        guard rest.first == "\"" else { return token() }
        rest.removeFirst()
        var value = ""
        while let character = rest.popFirst() {
            switch character {
            case "\"": return value
            case "\\": value += rest.popFirst().map(String.init) ?? ""
            default: value.append(character)
            }
        }
        return nil
    }

    private mutating func token() -> String {
        let end = rest.firstIndex { $0 == " " || $0 == "\t" || $0 == "," || $0 == "=" || $0 == "\"" } ?? rest.endIndex
        defer { rest = rest[end...] }
        return String(rest[..<end])
    }

    private mutating func skip(_ isSkipped: (Character) -> Bool) { rest = rest.drop(while: isSkipped) }
}
