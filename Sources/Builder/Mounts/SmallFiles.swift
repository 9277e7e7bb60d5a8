import Blocking
import Linux
import SystemPackage

/// Files that exist in memory only and are gone with their descriptors: secrets, and scripts that stand in a Dockerfile.
struct SmallFile: Sendable {
    var content: [UInt8]
    var mode: UInt32
    var uid: UInt32 = 0
    var gid: UInt32 = 0

    /// Each file as a detached mount, read-only.
    static func mounts(of files: [SmallFile]) async throws -> [SharedFD] {
        if files.isEmpty { return [] }
        return try await onThrowawayThread {
            let namespace = try MountNamespace()
            let memory = try Mount.filesystem(
                type: "tmpfs", options: ["mode=700"], attributes: [.noSetUserID, .noDevices])
            let directory = try reopenDirectory(memory)
            var mounts: [SharedFD] = []
            for (index, file) in files.enumerated() {
                try file.write(to: directory, try FileName("\(index)"))
                let mount = try namespace.clone(of: "/\(index)", in: memory, isAttached: index > 0)
                try Mount.setAttributes(mount, set: [.readOnly, .noSetUserID, .noDevices])
                mounts.append(SharedFD(mount))
            }
            return mounts
        }
    }

    private func write(to directory: borrowing OwnedFD, _ name: FileName) throws {
        let file = try openat(directory, name, [.writeOnly, .create, .exclusive, .noFollow], mode: 0o600)
        try file.writeAll(content)
        try fchown(file, uid: uid, gid: gid)
        try fchmod(file, mode: mode)
    }
}
