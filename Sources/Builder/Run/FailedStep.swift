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
            guard let open = request.openShell, !Task.isCancelled, !(error is CancellationError) else { throw error }
            // What the stage has said comes before the shell.
            if let lane { await lanes.fail(lane) }
            try await openShell(in: before, instead: step, stage) { try await open($0, error) }
            throw error
        }
    }

    private mutating func openShell(
        in state: ImageState, instead step: Step, _ stage: Int, _ open: @escaping @Sendable (RunStep) async throws -> Void
    ) async throws {
        let scratch = try await StepScratch(in: directory, id: RandomHex.make(16))
        let shell = RunStep(
            id: RandomHex.make(64), layers: state.layers, upper: scratch.upper, work: scratch.work,
            args: [state.shell.first ?? "/bin/sh"], env: environment(state), workingDir: state.workingDirectory,
            user: state.container.user ?? "", networkMode: request.networkMode, limits: request.limits)
        try await withMounts(try await mountsOfFailed(step, state, stage, scratch), of: shell, open)
        try await blocking { try removeTree(scratch.directory) }
    }

    private func withMounts(
        _ making: MountMaking, of shell: RunStep, _ open: @escaping @Sendable (RunStep) async throws -> Void
    ) async throws {
        let store = build.images.layers
        try await store.holding(shell.layers + making.layers) {
            try await making.with { made in
                var shell = shell
                shell.mounts = made.mounts
                shell.env += made.environment
                try await open(shell)
            }
        }
    }

    /// The mounts of a `RUN`; none where they are what has failed.
    private mutating func mountsOfFailed(_ step: Step, _ state: ImageState, _ stage: Int, _ scratch: StepScratch) async throws
        -> MountMaking
    {
        let none = MountMaking(run: self, planned: [], script: nil, scratch: scratch)
        guard case .run(let command) = step.kind else { return none }
        do {
            let planned = try await planMounts(command, state, stage: stage)
            let script = command.script.map { (path: command.form.arguments(shell: state.shell)[0], content: $0) }
            let making = MountMaking(run: self, planned: planned, script: script, scratch: scratch)
            try await making.with { _ in }
            return making
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            return none
        }
    }
}
