/// One pattern of a `.dockerignore`: `*` and `?` stay within a directory, `**` does not.
package struct PathPattern: Sendable {
    private enum Token {
        case literal(Unicode.Scalar)
        /// `?`
        case notSlash
        /// `*`
        case notSlashes
        /// `**` at the end, or in front of plain text
        case everything
        /// `**/`: nothing, or directories; the token behind it does the reading
        case maybeDirectories
        case directories
        case oneOf([ClosedRange<Unicode.Scalar>], negated: Bool)
    }

    package let text: String
    private var tokens: [Token] = []

    /// - Returns: nil for a pattern that cannot be read, such as `[a`.
    package init?(_ text: String) {
        self.text = text
        var rest = text.unicodeScalars[...]
        let isPlainBehindStars = !text.unicodeScalars.dropFirst(2).contains { "*?[]\\".unicodeScalars.contains($0) }
        while let scalar = rest.popFirst() {
            switch scalar {
            case "*": addStar(&rest, isFirst: tokens.isEmpty, isPlainBehindStars: isPlainBehindStars)
            case "?": tokens.append(.notSlash)
            case "\\":
                guard let next = rest.popFirst() else { return nil }
                tokens.append(.literal(next))
            case "[":
                guard let token = Self.characterClass(&rest) else { return nil }
                tokens.append(token)
            default: tokens.append(.literal(scalar))
            }
        }
    }

    private mutating func addStar(
        _ rest: inout Substring.UnicodeScalarView, isFirst: Bool, isPlainBehindStars: Bool
    ) {
        guard rest.first == "*" else { return tokens.append(.notSlashes) }
        rest.removeFirst()
        let hasSlash = rest.first == "/"
        if hasSlash { rest.removeFirst() }
        if rest.isEmpty || (isFirst && isPlainBehindStars && !hasSlash) {
            tokens.append(.everything)
        } else {
            tokens += [.maybeDirectories, .directories]
        }
    }

    private static func characterClass(_ rest: inout Substring.UnicodeScalarView) -> Token? {
        let negated = rest.first == "^"
        if negated { rest.removeFirst() }
        var ranges: [ClosedRange<Unicode.Scalar>] = []
        while true {
            if rest.first == "]" && !ranges.isEmpty {
                rest.removeFirst()
                return .oneOf(ranges, negated: negated)
            }
            guard let low = classMember(&rest) else { return nil }
            var high = low
            if rest.first == "-" {
                rest.removeFirst()
                guard let end = classMember(&rest) else { return nil }
                high = end
            }
            guard low <= high else { return nil }
            ranges.append(low...high)
        }
    }

    private static func classMember(_ rest: inout Substring.UnicodeScalarView) -> Unicode.Scalar? {
        guard let scalar = rest.popFirst(), scalar != "-", scalar != "]" else { return nil }
        return scalar == "\\" ? rest.popFirst() : scalar
    }

    /// Whether the pattern matches exactly this path.
    package func matches(_ path: String) -> Bool {
        states(after: path).contains(tokens.count)
    }

    /// Whether some path below this directory could match.
    package func canMatchBelow(_ directory: String) -> Bool {
        !states(after: directory + "/").isEmpty
    }

    /// Follows all ways through the pattern at once, so no pattern is slow.
    private func states(after path: String) -> [Int] {
        var states: [Int] = []
        enter(0, &states)
        for scalar in path.unicodeScalars {
            var next: [Int] = []
            for state in states where state < tokens.count {
                step(state, scalar, &next)
            }
            states = next
            if states.isEmpty { break }
        }
        return states
    }

    private func step(_ state: Int, _ scalar: Unicode.Scalar, _ next: inout [Int]) {
        switch tokens[state] {
        case .literal(let wanted): if wanted == scalar { enter(state + 1, &next) }
        case .notSlash: if scalar != "/" { enter(state + 1, &next) }
        case .notSlashes: if scalar != "/" { enter(state, &next) }
        case .everything: enter(state, &next)
        case .maybeDirectories: break
        case .directories:
            enter(state, &next)
            if scalar == "/" { enter(state + 1, &next) }
        case .oneOf(let ranges, let negated):
            if ranges.contains(where: { $0.contains(scalar) }) != negated { enter(state + 1, &next) }
        }
    }

    /// Adds a state and those that need no further character.
    private func enter(_ state: Int, _ states: inout [Int]) {
        if states.contains(state) { return }
        states.append(state)
        guard state < tokens.count else { return }
        switch tokens[state] {
        case .notSlashes, .everything: enter(state + 1, &states)
        case .maybeDirectories:
            enter(state + 1, &states)
            enter(state + 2, &states)
        default: break
        }
    }
}
