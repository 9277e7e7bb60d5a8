/// What stages say while several of them are built at the same time: the first that is not finished is heard, the others
/// are kept until it is their turn. So the output is the same as if they had been built one after the other.
actor StageLanes {
    private let order: [Int]
    private let send: @Sendable (BuildProgress) async -> Void
    private var kept: [Int: KeptProgress] = [:]
    private var finished: Set<Int> = []
    private var isSending = false
    private var outgoing: [BuildProgress] = []
    private var waiting: [CheckedContinuation<Void, Never>] = []

    /// - Parameter order: all stages that will be built.
    init(order: [Int], send: @escaping @Sendable (BuildProgress) async -> Void) {
        self.order = order
        self.send = send
    }

    private var heard: Int? { order.first { !finished.contains($0) } }

    func say(_ progress: BuildProgress, stage: Int?) async {
        if let stage, let heard, stage != heard {
            kept[stage, default: KeptProgress()].add(progress)
        } else {
            await pass([progress])
        }
    }

    /// The next stage is heard from here on, with all that it has said so far.
    func finish(_ stage: Int) async {
        finished.insert(stage)
        var due: [BuildProgress] = []
        for stage in order {
            due += kept.removeValue(forKey: stage)?.all ?? []
            if !finished.contains(stage) { break }
        }
        await pass(due)
    }

    /// A stage has failed: what it has said is what everybody wants to know.
    func fail(_ stage: Int) async {
        await pass(kept.removeValue(forKey: stage)?.all ?? [])
    }

    /// In the order in which it was said, although sending waits for the client. Whoever talks waits with it.
    private func pass(_ more: [BuildProgress]) async {
        outgoing += more
        if isSending { return await withCheckedContinuation { waiting.append($0) } }
        isSending = true
        while !outgoing.isEmpty {
            let next = outgoing
            outgoing = []
            let talkers = waiting
            waiting = []
            for progress in next { await send(progress) }
            for talker in talkers { talker.resume() }
        }
        isSending = false
    }
}

/// What a stage has said while nobody heard it: the last part when it is much.
private struct KeptProgress {
    private static let mostBytes = 1 << 20

    private var older: [BuildProgress] = []
    private var newer: [BuildProgress] = []
    private var newerBytes = 0
    private var isCut = false

    var all: [BuildProgress] {
        (isCut ? [.stream("[output of this stage is left out here, only the last of it was kept]\n")] : []) + older + newer
    }

    mutating func add(_ progress: BuildProgress) {
        if newerBytes > Self.mostBytes / 2 {
            isCut = isCut || !older.isEmpty
            (older, newer, newerBytes) = (newer, [], 0)
        }
        newer.append(progress)
        // Many small pieces take room, too.
        newerBytes += 64
        if case .stream(let text) = progress { newerBytes += text.utf8.count }
    }
}
