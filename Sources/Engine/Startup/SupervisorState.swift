import FoundationEssentials
import Linux
import SystemPackage

/// What the supervisor wrote about its process: `state.json`.
struct SupervisorState: Codable, Sendable {
    var pid: Int32
    /// `created` until the program begins, then `running`, also when it has ended.
    var status: String?

    /// Whether the program ever began, as far as the files tell.
    static func hasRun(_ directory: FilePath) -> Bool {
        (try? read(directory))?.status == "running"  // No file: it did not come that far.
    }

    static func read(_ directory: FilePath) throws -> SupervisorState {
        let bytes = try OwnedFD.open(directory.appending("state.json"), .readOnly).readAll(limit: 1 << 20)
        return try JSONDecoder().decode(SupervisorState.self, from: Data(bytes))
    }
}
