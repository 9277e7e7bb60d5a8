/// What a step rests on, piece by piece, so that it can be told which piece has changed. Values of arguments are kept as
/// digests only.
struct StepFacts: Codable, Sendable, Equatable {
    var kind: String
    var parent: String
    /// The instruction with its variables expanded.
    var instruction = ""
    /// Declared arguments, each with the beginning of its value's digest.
    var arguments: [String: String] = [:]
    /// Files that were read, each with the beginning of its digest.
    var files: [String: String] = [:]
    /// Everything else that belongs to the key.
    var surroundings = ""

    /// Why a result that was made from `before` is none for this.
    func reason(comparedWith before: StepFacts?) -> String {
        guard let before else { return "it is new" }
        if before.parent != parent { return "what lies below it has changed" }
        if let names = Self.difference(before.arguments, arguments) { return "the build argument \(names) has changed" }
        if let names = Self.difference(before.files, files) { return "\(names) has changed" }
        if before.kind != kind || before.instruction != instruction { return "the instruction has changed" }
        if before.surroundings != surroundings { return "network, hosts, mounts or time of the build have changed" }
        return "its result is not there any more"
    }

    /// The first few names that are new, gone or different.
    private static func difference(_ before: [String: String], _ now: [String: String]) -> String? {
        let names = Set(before.keys).union(now.keys).filter { before[$0] != now[$0] }.sorted()
        if names.isEmpty { return nil }
        let shown = names.prefix(3).joined(separator: ", ")
        return names.count > 3 ? "\(shown) and \(names.count - 3) more" : shown
    }
}
