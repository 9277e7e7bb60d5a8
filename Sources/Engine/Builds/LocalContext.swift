import Blocking
import BuildContext
import Linux
import SystemPackage

/// A context that is not sent: the engine reads the client's own directory. Whoever may speak to the engine may mount any directory
/// of the host, so that this shows nobody more.
enum LocalContext {
    /// The directory, if it is the one that the client means, as the client sees it. From here on it is this one, whatever gets its name.
    static func open(_ folder: String, identity: String) async throws -> SharedFD? {
        guard folder.hasPrefix("/") else { return nil }
        return try await blocking {
            do {
                let directory = try OwnedFD.open(FilePath(folder), [.readOnly, .directory])
                return try FolderIdentity.make(of: directory) == identity ? SharedFD(directory) : nil
            } catch let error as SystemError {
                if error.meansMissing || error.errno == .permissionDenied || error.errno == .notDirectory { return nil }
                throw error
            }
        }
    }
}
