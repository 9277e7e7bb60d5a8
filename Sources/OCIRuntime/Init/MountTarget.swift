import Linux
import SystemPackage

/// Places in the container to mount on, made where they are missing, never outside its root.
enum MountTarget {
    static func directory(_ path: String, root: borrowing OwnedFD) throws(SystemError) -> OwnedFD {
        try PathInRoot.makeDirectories(path, root: root)
    }

    static func file(_ path: String, root: borrowing OwnedFD) throws(SystemError) -> OwnedFD {
        let place = try existingFile(path, root: root)
        if try fstat(place).kind == .directory {
            throw SystemError(errno: .notDirectory, call: "mount a file onto the directory", subject: path)
        }
        return place
    }

    private static func existingFile(_ path: String, root: borrowing OwnedFD) throws(SystemError) -> OwnedFD {
        do {
            return try PathInRoot.open(path, root: root, flags: .path)
        } catch  where error.errno == .noSuchFileOrDirectory {
            try PathInRoot.makeDirectories(try PathInRoot.splitting(path).directory, root: root)
            // Through a link to nowhere its target is made, inside the root as well.
            _ = try PathInRoot.open(
                path, root: root, flags: [.writeOnly, .create, .nonBlocking, .noControllingTerminal], mode: 0o644)
            return try PathInRoot.open(path, root: root, flags: .path)
        }
    }

    /// A directory without any symbolic link on the way, for the file systems of the kernel that everything relies on.
    static func ordinaryDirectory(_ path: String, root: borrowing OwnedFD) throws -> OwnedFD {
        if let existing = try open(path, root) { return existing }
        try PathInRoot.makeDirectories(path, root: root)
        guard let made = try open(path, root) else { throw notOrdinary(path) }
        return made
    }

    private static func open(_ path: String, _ root: borrowing OwnedFD) throws -> OwnedFD? {
        do throws(SystemError) {
            return try PathInRoot.open(path, root: root, flags: [.path, .directory], resolve: .noSymbolicLinks)
        } catch {
            switch error.errno {
            case .noSuchFileOrDirectory: return nil
            case .tooManySymbolicLinkLevels, .notDirectory: throw notOrdinary(path)
            default: throw error
            }
        }
    }

    private static func notOrdinary(_ path: String) -> LaunchError {
        LaunchError(message: "filesystem at \"\(path)\" must be mounted on ordinary directory")
    }
}
