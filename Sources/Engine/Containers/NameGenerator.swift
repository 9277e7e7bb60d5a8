/// Names for containers that were given none: a quality and a kind of ship.
enum NameGenerator {
    private static let qualities = [
        "able", "agile", "amber", "brave", "bright", "brisk", "calm", "clear", "clever", "daring", "eager", "early", "even",
        "fair", "fast", "fine", "firm", "fleet", "fresh", "gentle", "glad", "golden", "grand", "handy", "happy", "hardy",
        "honest", "humble", "jolly", "keen", "kind", "light", "lively", "loyal", "lucky", "merry", "mild", "neat", "nimble",
        "noble", "patient", "plain", "proud", "quick", "quiet", "ready", "silent", "silver", "smooth", "sober", "solid",
        "spry", "steady", "stout", "strong", "sunny", "sure", "swift", "tidy", "trim", "true", "warm", "wise", "young",
    ]
    private static let ships = [
        "barge", "bark", "brig", "caique", "canoe", "caravel", "carrack", "catamaran", "catboat", "clipper", "coaster",
        "cog", "coracle", "corvette", "cruiser", "currach", "cutter", "dhow", "dinghy", "dory", "dugout", "ferry", "felucca",
        "frigate", "galleon", "galley", "gig", "gondola", "hoy", "hulk", "jolle", "junk", "kayak", "ketch", "knarr",
        "lateen", "launch", "longship", "lugger", "nao", "packet", "pinnace", "pirogue", "polacca", "pram", "proa", "punt",
        "raft", "sampan", "schooner", "scow", "sharpie", "shallop", "skiff", "sloop", "smack", "snow", "tender", "trawler",
        "trimaran", "trireme", "tug", "wherry", "yawl",
    ]

    /// `attempt` counts the names that were taken already; from the third on a digit makes a free one likely.
    static func name(attempt: Int) -> String {
        let name = "\(qualities.randomElement() ?? "calm")_\(ships.randomElement() ?? "skiff")"
        return attempt < 3 ? name : name + String(Int.random(in: 0...9999))
    }
}
