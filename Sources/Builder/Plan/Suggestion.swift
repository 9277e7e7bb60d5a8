/// "Did you mean …?"
enum Suggestion {
    /// The known word that a mistyped one is closest to; nil when it resembles none, or is one.
    static func nearest(to word: String, among known: [String]) -> String? {
        let word = Array(word.lowercased().unicodeScalars)
        var best: (word: String, distance: Int)?
        for candidate in known {
            let distance = distance(word, Array(candidate.lowercased().unicodeScalars))
            if distance == 0 { return nil }
            if distance < 3, distance < best?.distance ?? .max { best = (candidate, distance) }
        }
        return best?.word
    }

    /// How many letters have to be put in, taken out or exchanged.
    private static func distance(_ one: [Unicode.Scalar], _ other: [Unicode.Scalar]) -> Int {
        if one.isEmpty || other.isEmpty { return max(one.count, other.count) }
        var row = Array(0...other.count)
        for (index, scalar) in one.enumerated() {
            var next = [index + 1]
            for column in other.indices {
                let exchanged = row[column] + (other[column] == scalar ? 0 : 1)
                next.append(min(exchanged, row[column + 1] + 1, next[column] + 1))
            }
            row = next
        }
        return row[other.count]
    }
}
