import OCI
import Store

/// Names the result of a step by all it rests on: the state before it, what it does, and what it reads.
///
/// Only results of our own steps are ever stored under such a name; images that were pulled or loaded are not looked at.
struct CacheKey {
    private var hasher = DigestHasher()
    /// The content below the step; nil for what does not depend on it.
    let parent: Digest?
    /// The same in words, for telling why a result could not be used. They are no part of the key.
    var facts: StepFacts

    init(_ kind: String, parent: Digest?) {
        self.parent = parent
        facts = StepFacts(kind: kind, parent: parent?.description ?? "scratch")
        add("step v4")
        add(kind)
    }

    /// Each part goes in with its length, so that two different lists never look the same.
    mutating func add(_ part: String) {
        add(Array(part.utf8))
    }

    mutating func add(_ parts: [String]) {
        add(String(parts.count))
        for part in parts { add(part) }
    }

    mutating func add(_ bytes: [UInt8]) {
        var length = UInt64(bytes.count).littleEndian
        withUnsafeBytes(of: &length) { hasher.update($0) }
        bytes.withUnsafeBytes { hasher.update($0) }
    }

    var text: String { text(on: parent) }

    /// The name of the same step on something else.
    func text(on parent: Digest?) -> String {
        var key = self
        key.add(parent?.description ?? "scratch")
        return key.hasher.finish().description
    }
}
