import FoundationEssentials
import Linux
import SystemPackage

/// What the supervisor wrote about its process: `state.json`.
struct SupervisorState: Codable, Sendable {
    var pid: Int32

    static func read(_ directory: FilePath) throws -> SupervisorState {
        let bytes = try OwnedFD.open(directory.appending("state.json"), .readOnly).readAll(limit: 1 << 20)
        return try JSONDecoder().decode(SupervisorState.self, from: Data(bytes))
    }
}
