// The stages of a build side by side, as far as they do not rest on each other.
extension BuildRun {
    /// So many at a time: more would only wait for the same processors and disk.
    private static let mostStages = 4

    /// What a stage leaves for those that rest on it.
    private struct Result: Sendable {
        var index: Int
        var finished: [Int: FinishedStage]
        var arguments: BuildArguments
        var environments: [Int: [String: String]]
    }

    mutating func buildStages() async throws {
        var waiting = needed
        var running = 0
        let rests = restsOn()
        try await withThrowingTaskGroup(of: Result.self) { group in
            while !waiting.isEmpty || running > 0 {
                for index in waiting where running < Self.mostStages {
                    guard rests[index, default: []].allSatisfy({ finished[$0] != nil }) else { continue }
                    waiting.removeAll { $0 == index }
                    running += 1
                    let run = self
                    group.addTask { try await run.built(index) }
                }
                guard let result = try await group.next() else { return }
                running -= 1
                finished.merge(result.finished) { known, _ in known }
                environments.merge(result.environments) { known, _ in known }
                arguments.merge(result.arguments)
            }
        }
    }

    private func built(_ index: Int) async throws -> Result {
        var run = self
        run.lane = index
        do {
            try await run.buildStage(index)
        } catch {
            if !(error is CancellationError) { await lanes.fail(index) }
            throw error
        }
        await lanes.finish(index)
        return Result(index: index, finished: run.finished, arguments: run.arguments, environments: run.environments)
    }

    /// The stages that each stage names. They come before it.
    private func restsOn() -> [Int: [Int]] {
        var rests: [Int: [Int]] = [:]
        for index in needed {
            rests[index] = plan.needed(for: index, apartFrom: Set(request.namedContexts.keys), base: baseName).filter { $0 != index }
        }
        return rests
    }
}
