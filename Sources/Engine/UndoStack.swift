import Logging

/// What has to be undone when an operation fails half-way: pushed at the moment a step succeeds, run in reverse. A step
/// that cannot be undone is reported, and the others are undone all the same.
struct UndoStack: Sendable {
    private var steps: [(name: String, undo: @Sendable () async throws -> Void)] = []

    mutating func add(_ name: String, _ undo: @escaping @Sendable () async throws -> Void) {
        steps.append((name, undo))
    }

    func run(_ logger: Logger) async {
        for step in steps.reversed() {
            do {
                try await step.undo()
            } catch {
                logger.warning("could not undo a step", metadata: ["step": "\(step.name)", "error": "\(error)"])
            }
        }
    }
}
