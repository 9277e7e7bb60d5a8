/// The rules of a `.dockerignore`: which paths of a build context are left out. The last rule that matches decides.
public struct IgnorePatterns: Sendable {
    private struct Rule {
        var pattern: PathPattern
        /// `!pattern` brings back what an earlier rule left out.
        var isException: Bool
    }

    public enum Failure: Error, Sendable, Equatable, CustomStringConvertible {
        case illegalException
        case badPattern(String)

        public var description: String {
            switch self {
            case .illegalException: "illegal exclusion pattern: \"!\""
            case .badPattern(let pattern): "syntax error in pattern: \(GoQuote.quoted(pattern))"
            }
        }
    }

    private let rules: [Rule]
    private let hasExceptions: Bool

    /// Rules in order, as `patterns(in:)` gives them.
    public init(lines: [String]) throws(Failure) {
        var rules: [Rule] = []
        for line in lines {
            var text = line.trimmed()
            if text.isEmpty { continue }
            let isException = text.utf8.first == UInt8(ascii: "!")
            if isException {
                text = String(text.unicodeScalars.dropFirst())
                if text.isEmpty { throw .illegalException }
            }
            guard let pattern = PathPattern(CleanPath.clean(text)) else { throw .badPattern(text) }
            rules.append(Rule(pattern: pattern, isException: isException))
        }
        self.rules = rules
        hasExceptions = rules.contains { $0.isException }
    }

    /// The rules written in an ignore file: without comments, blank lines and leading slashes.
    public static func patterns(in file: [UInt8]) -> [String] {
        var bytes = file[...]
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = bytes.dropFirst(3) }
        return bytes.split(separator: UInt8(ascii: "\n")).compactMap { line in
            if line.first == UInt8(ascii: "#") { return nil }
            var text = String(decoding: line, as: UTF8.self).trimmed()
            if text.isEmpty { return nil }
            let isException = text.utf8.first == UInt8(ascii: "!")
            if isException { text = String(text.unicodeScalars.dropFirst()).trimmed() }
            if !text.isEmpty {
                text = CleanPath.clean(text)
                if text.utf8.count > 1, text.utf8.first == UInt8(ascii: "/") { text.removeFirst() }
            }
            return (isException ? "!" : "") + text
        }
    }

    /// The ignore files that count for a Dockerfile, best first; only the first that exists is read.
    public static func fileNames(dockerfile: String?) -> [String] {
        guard let dockerfile, !dockerfile.isEmpty else { return [".dockerignore"] }
        return [dockerfile + ".dockerignore", ".dockerignore"]
    }

    public var isEmpty: Bool { rules.isEmpty }

    /// Whether a path (relative to the context, with slashes) is left out, itself or with one of its parents.
    public func excludes(_ path: String) -> Bool {
        var path = path
        while path.utf8.last == UInt8(ascii: "/") { path.removeLast() }
        if path == "." { return false }
        let parents = Self.parents(of: path)
        var excluded = false
        for rule in rules where rule.isException == excluded {
            if rule.pattern.matches(path) || parents.contains(where: rule.pattern.matches) {
                excluded = !rule.isException
            }
        }
        return excluded
    }

    /// Whether a directory need not be looked into, since nothing below it can be part of the context.
    public func canPrune(_ directory: String) -> Bool {
        guard excludes(directory) else { return false }
        return !hasExceptions || !rules.contains { $0.isException && $0.pattern.canMatchBelow(directory) }
    }

    private static func parents(of path: String) -> [String] {
        path.utf8.indices.filter { path.utf8[$0] == UInt8(ascii: "/") && $0 > path.startIndex }
            .map { String(path[..<$0]) }
    }
}
