/// What stages say while several of them are built at the same time: the first that is not finished is heard, the others
/// are kept until it is their turn. So the output is the same as if they had been built one after the other.
actor StageLanes {
    private let order: [Int]
    private let send: @Sendable (BuildProgress) async -> Void
    private var kept: [Int: [BuildProgress]] = [:]
    private var finished: Set<Int> = []
    private var isSending = false
    private var outgoing: [BuildProgress] = []

    /// - Parameter order: all stages that will be built.
    init(order: [Int], send: @escaping @Sendable (BuildProgress) async -> Void) {
        self.order = order
        self.send = send
    }

    private var heard: Int? { order.first { !finished.contains($0) } }

    func say(_ progress: BuildProgress, stage: Int?) async {
        if let stage, let heard, stage != heard {
            kept[stage, default: []].append(progress)
        } else {
            await pass([progress])
        }
    }

    /// The next stage is heard from here on, with all that it has said so far.
    func finish(_ stage: Int) async {
        finished.insert(stage)
        var due: [BuildProgress] = []
        for stage in order {
            due += kept.removeValue(forKey: stage) ?? []
            if !finished.contains(stage) { break }
        }
        await pass(due)
    }

    /// A stage has failed: what it has said is what everybody wants to know.
    func fail(_ stage: Int) async {
        await pass(kept.removeValue(forKey: stage) ?? [])
    }

    /// In the order in which it was said, although sending waits for the client.
    private func pass(_ more: [BuildProgress]) async {
        outgoing += more
        guard !isSending else { return }
        isSending = true
        while !outgoing.isEmpty {
            let next = outgoing
            outgoing = []
            for progress in next { await send(progress) }
        }
        isSending = false
    }
}
