import Linux

/// `--chmod`: permissions as a number, or as a change of those that a file has (`u=rwX,go=rX`, `+x`).
struct ModeChange: Sendable, Equatable, CustomStringConvertible {
    private enum Operator: Character, Sendable {
        case add = "+"
        case remove = "-"
        case set = "="
    }

    private struct Clause: Sendable, Equatable {
        /// The bits of those it is about.
        var who: UInt32
        var change: Operator
        var letters: String
    }

    let description: String
    private var number: UInt32?
    private var clauses: [Clause] = []

    init(_ text: String) throws(BuildError) {
        description = text
        if let number = UInt32(text, radix: 8), number <= 0o7777, !text.hasPrefix("+") {
            self.number = number
            return
        }
        for clause in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let read = Self.clauses(clause) else {
                throw .invalid("invalid chmod parameter: '\(text)'. it should be octal string and between 0 and 07777")
            }
            clauses += read
        }
    }

    private static func clauses(_ text: Substring) -> [Clause]? {
        var rest = text
        var who: UInt32 = 0
        while let letter = rest.first, let bits = Self.who[letter] {
            who |= bits
            rest.removeFirst()
        }
        if who == 0 { who = 0o7777 }
        var clauses: [Clause] = []
        while let sign = rest.popFirst() {
            guard let change = Operator(rawValue: sign) else { return nil }
            let letters = rest.prefix { "rwxXst".contains($0) }
            rest = rest.dropFirst(letters.count)
            clauses.append(Clause(who: who, change: change, letters: String(letters)))
        }
        return clauses.isEmpty ? nil : clauses
    }

    private static let who: [Character: UInt32] = ["u": 0o4700, "g": 0o2070, "o": 0o1007, "a": 0o7777]

    func applied(to metadata: FileMetadata) -> UInt32 {
        applied(to: metadata.permissions, isDirectory: metadata.kind == .directory)
    }

    func applied(to mode: UInt32, isDirectory: Bool = false) -> UInt32 {
        if let number { return number }
        return clauses.reduce(mode) { mode, clause in
            var bits: UInt32 = 0
            for letter in clause.letters {
                switch letter {
                case "r": bits |= 0o444
                case "w": bits |= 0o222
                case "x": bits |= 0o111
                case "X": bits |= isDirectory || mode & 0o111 != 0 ? 0o111 : 0
                case "s": bits |= 0o6000
                default: bits |= 0o1000
                }
            }
            bits &= clause.who
            switch clause.change {
            case .add: return mode | bits
            case .remove: return mode & ~bits
            case .set: return mode & ~(clause.who & 0o777) | bits
            }
        }
    }
}
