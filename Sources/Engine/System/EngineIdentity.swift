import Blocking
import Linux
import SystemPackage

/// The id that `docker info` shows: made once, kept with the data.
enum EngineIdentity {
    static func load(_ dataRoot: FilePath) async throws -> String {
        try await blocking {
            let path = dataRoot.appending("engine-id")
            do {
                return String(decoding: try OwnedFD.open(path, .readOnly).readAll(limit: 256), as: UTF8.self)
            } catch let error as SystemError where error.errno == .noSuchFileOrDirectory {
                let id = makeID()
                try writeAtomically(Array(id.utf8), to: path, sync: true)
                return id
            }
        }
    }
}
