/// A pattern of `${name#pattern}`: `*` and `?` match anything, also a slash.
struct ShellGlob {
    private enum Token {
        case literal(Unicode.Scalar)
        case one
        case any
    }

    private var tokens: [Token] = []

    init(_ pattern: String, escape: Unicode.Scalar) {
        var rest = pattern.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            switch scalar {
            case "*": tokens.append(.any)
            case "?": tokens.append(.one)
            case escape: tokens.append(.literal(rest.popFirst() ?? escape))
            default: tokens.append(.literal(scalar))
            }
        }
    }

    func matches(_ text: ArraySlice<Unicode.Scalar>) -> Bool {
        lengths(in: text).last == text.count
    }

    func prefixLength(of text: ArraySlice<Unicode.Scalar>, longest: Bool) -> Int? {
        longest ? lengths(in: text).last : lengths(in: text).first
    }

    /// Replaces the leftmost match, each time the longest one, or every match.
    func replace(in value: String, with text: String, all: Bool) -> String {
        let scalars = Array(value.unicodeScalars)
        var result = ""
        var position = 0
        var afterMatch = false
        while position <= scalars.count {
            let length = lengths(in: scalars[position...]).last
            if let length, length > 0 || !afterMatch {
                result += text
                position += length
                afterMatch = length > 0
                if !all { return result + String(scalars[position...]) }
                if length > 0 { continue }
            }
            if position < scalars.count { result.unicodeScalars.append(scalars[position]) }
            position += 1
            afterMatch = false
        }
        return result
    }

    /// The lengths of all prefixes that match, shortest first. Follows all ways at once, so no pattern is slow.
    private func lengths(in text: ArraySlice<Unicode.Scalar>) -> [Int] {
        var states = closure([0])
        var found = states.contains(tokens.count) ? [0] : []
        for (index, scalar) in text.enumerated() {
            var next: Set<Int> = []
            for state in states where state < tokens.count {
                switch tokens[state] {
                case .literal(let wanted): if wanted == scalar { next.insert(state + 1) }
                case .one: next.insert(state + 1)
                case .any: next.insert(state)
                }
            }
            states = closure(next)
            if states.isEmpty { break }
            if states.contains(tokens.count) { found.append(index + 1) }
        }
        return found
    }

    private func closure(_ states: Set<Int>) -> Set<Int> {
        var result = states
        for state in states {
            var state = state
            while state < tokens.count, case .any = tokens[state] {
                state += 1
                result.insert(state)
            }
        }
        return result
    }
}
