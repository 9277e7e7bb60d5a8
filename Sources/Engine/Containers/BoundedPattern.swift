/// A regular expression of a client's that cannot keep the engine busy: the matcher tries all ways, and of an expression
/// such as `(a+)+$` there are more than can ever be tried.
struct BoundedPattern {
    private let expression: Regex<AnyRegexOutput>

    /// nil for what is no expression, or too much of one.
    init?(_ text: String) {
        guard Self.isBounded(text), let expression = try? Regex(text) else { return nil }
        self.expression = expression
    }

    /// In the first thousand letters.
    func matches(_ text: String) -> Bool {
        text.prefix(1000).firstMatch(of: expression) != nil
    }

    /// Few repetitions, and none of something that is itself repeated or a choice.
    static func isBounded(_ text: String) -> Bool {
        guard text.utf8.count <= 200 else { return false }
        var repetitions = 0
        /// For each open group, whether it has a repetition or a choice inside.
        var groups: [Bool] = [false]
        var closed = false
        var isInClass = false
        var isEscaped = false
        for byte in text.utf8 {
            let endsGroup = closed
            closed = false
            if isEscaped {
                isEscaped = false
                // What was matched before can be anything.
                if (UInt8(ascii: "1")...UInt8(ascii: "9")).contains(byte), !isInClass { return false }
                continue
            }
            switch byte {
            case UInt8(ascii: "\\"): isEscaped = true
            case _ where isInClass: isInClass = byte != UInt8(ascii: "]")
            case UInt8(ascii: "["): isInClass = true
            case UInt8(ascii: "("): groups.append(false)
            case UInt8(ascii: ")"):
                guard groups.count > 1, let inner = groups.popLast() else { return false }
                closed = inner
                if inner { groups[groups.count - 1] = true }
            case UInt8(ascii: "|"): groups[groups.count - 1] = true
            case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "{"):
                if endsGroup { return false }
                repetitions += 1
                groups[groups.count - 1] = true
            case UInt8(ascii: "?"): repetitions += 1
            default: break
            }
        }
        return repetitions <= 4
    }
}
