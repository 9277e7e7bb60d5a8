import Blocking
import Images
import Linux
import OCI

// A shell where a step has failed.
extension BuildRun {
    /// Performs a step. When that fails, the user may look around in the state before it, with all that the step would have had.
    mutating func attempt(_ step: Step, on state: inout ImageState, stage: Int) async throws {
        let before = state
        do {
            try await perform(step, on: &state, stage: stage)
        } catch {
            // That the context is needed is no failure: the client sends it and asks again.
            let isFailure = !(error is CancellationError) && error as? BuildError != .contextIsBorrowed
            guard isFailure, let open = request.openShell, !Task.isCancelled, await failedSteps.begin() else { throw error }
            // What the stage has said comes before the shell.
            if let lane { await lanes.fail(lane) }
            do {
                let run = self
                try await open(error) { try await run.visit(before, instead: step, stage, $0) }
                await failedSteps.end()
            } catch {
                await failedSteps.end()
                throw error
            }
            throw error
        }
    }

    private func visit(
        _ state: ImageState, instead step: Step, _ stage: Int, _ run: @escaping @Sendable (RunStep) async throws -> Void
    ) async throws {
        let scratch = try await StepScratch(in: directory, id: RandomHex.make(16))
        let shell = RunStep(
            id: RandomHex.make(64), layers: state.layers, upper: scratch.upper, work: scratch.work,
            args: [state.shell.first ?? "/bin/sh"], env: environment(state), workingDir: state.workingDirectory,
            user: state.container.user ?? "", networkMode: request.networkMode, limits: request.limits)
        try await withMounts(try await mountsOfFailed(step, state, stage, scratch), of: shell, run)
        try await blocking { try removeTree(scratch.directory) }
    }

    private func withMounts(
        _ making: MountMaking, of shell: RunStep, _ run: @escaping @Sendable (RunStep) async throws -> Void
    ) async throws {
        let store = build.images.layers
        try await store.holding(shell.layers + making.layers) {
            try await making.with { made in
                var shell = shell
                shell.mounts = made.mounts
                shell.env += made.environment
                try await run(shell)
            }
        }
    }

    /// The mounts of a `RUN`; none where they are what has failed.
    private func mountsOfFailed(_ step: Step, _ state: ImageState, _ stage: Int, _ scratch: StepScratch) async throws -> MountMaking {
        let none = MountMaking(run: self, planned: [], script: nil, scratch: scratch)
        guard case .run(let command) = step.kind else { return none }
        do {
            var run = self
            let planned = try await run.planMounts(command, state, stage: stage)
            let script = command.script.map { (path: command.form.arguments(shell: state.shell)[0], content: $0) }
            let making = MountMaking(run: run, planned: planned, script: script, scratch: scratch)
            try await making.with { _ in }
            return making
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            return none
        }
    }
}

/// Of all steps of a build that fail one gets a shell, the first. One that fails meanwhile waits for the end of that, since the build
/// ends with it.
actor FailedSteps {
    private var hasBegun = false
    private var hasEnded = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    /// - Returns: whether the shell is for the caller, who has to call `end`.
    func begin() async -> Bool {
        if hasBegun, !hasEnded { await withCheckedContinuation { waiting.append($0) } }
        defer { hasBegun = true }
        return !hasBegun
    }

    func end() {
        hasEnded = true
        for waiter in waiting { waiter.resume() }
        waiting = []
    }
}
