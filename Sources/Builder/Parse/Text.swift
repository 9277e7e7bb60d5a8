import BuildContext

extension String {
    func trimmedLeft() -> String {
        String(unicodeScalars.drop { $0.isBlank })
    }

    func trimmedRight() -> String {
        var rest = unicodeScalars[...]
        while let last = rest.last, last.isBlank { rest.removeLast() }
        return String(rest)
    }

    /// The parts before and behind the first such character; compares scalars, so that an accent behind it does not hide it.
    func splitOnce(_ separator: Unicode.Scalar) -> (String, String)? {
        guard let index = unicodeScalars.firstIndex(of: separator) else { return nil }
        return (String(unicodeScalars[..<index]), String(unicodeScalars[unicodeScalars.index(after: index)...]))
    }

    /// The word up to the first white space and what follows that.
    func firstWord() -> (word: String, rest: String) {
        let word = unicodeScalars.prefix { !$0.isBlank }
        return (String(word), String(unicodeScalars.dropFirst(word.count).drop { $0.isBlank }))
    }

    func wordsBetweenBlanks() -> [String] {
        unicodeScalars.split { $0.isBlank }.map { String($0) }
    }
}
