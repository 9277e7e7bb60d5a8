import Blocking
import Linux
import SystemPackage

/// A context that is not sent: the engine reads the client's own directory. Whoever may speak to the engine may mount any directory
/// of the host, so that this shows nobody more.
enum LocalContext {
    /// Whether the client means the same directory: neither on another machine nor in a container of its own.
    static func isHere(_ folder: String, identity: String) async throws -> Bool {
        guard folder.hasPrefix("/") else { return false }
        return try await blocking {
            do {
                let directory = try OwnedFD.open(FilePath(folder), [.path, .directory])
                let metadata = try fstat(directory)
                return try "\(boot()):\(metadata.device):\(metadata.inode)" == identity
            } catch let error as SystemError {
                if error.meansMissing || error.errno == .permissionDenied || error.errno == .notDirectory { return false }
                throw error
            }
        }
    }

    private static func boot() throws -> String {
        let bytes = try OwnedFD.open("/proc/sys/kernel/random/boot_id", .readOnly).readAll(limit: 64)
        return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }
}
