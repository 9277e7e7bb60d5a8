import Linux
import SystemPackage

/// Finds the program to run as a shell would, with the rights of the container's user and inside its root.
enum ProgramLookup {
    static func find(_ name: String, environment: [String]) throws(LaunchError) -> String {
        if name.contains("/") {
            guard let obstacle = executionObstacle(name) else { return name }
            throw failure(name, obstacle)
        }
        guard !name.isEmpty else { throw notFound(name) }
        let path = environment.last { $0.hasPrefix("PATH=") }?.dropFirst(5) ?? ""
        for directory in path.split(separator: ":") where directory.hasPrefix("/") {
            let candidate = directory.hasSuffix("/") ? "\(directory)\(name)" : "\(directory)/\(name)"
            if executionObstacle(candidate) == nil { return candidate }
        }
        throw notFound(name)
    }

    private static func notFound(_ name: String) -> LaunchError {
        LaunchError(exitCode: 127, message: "exec: \"\(name)\": executable file not found in $PATH")
    }

    private static func failure(_ name: String, _ errno: Errno) -> LaunchError {
        switch errno {
        case .noSuchFileOrDirectory, .notDirectory:
            LaunchError(exitCode: 127, message: "exec: \"\(name)\": stat \(name): \(errno.goText)")
        case .permissionDenied: LaunchError(exitCode: 126, message: "exec: \"\(name)\": permission denied")
        case .isDirectory: LaunchError(exitCode: 126, message: "exec: \"\(name)\": is a directory")
        default: LaunchError(exitCode: 126, message: "exec: \"\(name)\": stat \(name): \(errno.goText)")
        }
    }
}

/// The home directory of a user from the container's `/etc/passwd`, read by ourselves and with limits: nothing of the
/// container's libraries gets to run, and no file can keep us waiting.
enum HomeDirectory {
    static func find(uid: UInt32, root: borrowing OwnedFD) -> String {
        // Whatever is wrong with the file: the user then has no entry, and lives in /.
        (try? read(uid: uid, root: root)) ?? "/"
    }

    private static func read(uid: UInt32, root: borrowing OwnedFD) throws(SystemError) -> String? {
        let file = try PathInRoot.open("/etc/passwd", root: root, flags: [.readOnly, .nonBlocking, .noControllingTerminal])
        guard try fstat(file).kind == .regular else { return nil }
        for line in try file.readAll(limit: 1 << 20).split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            guard fields.count == 7, UInt32(String(decoding: fields[2], as: UTF8.self)) == uid else { continue }
            let home = String(decoding: fields[5], as: UTF8.self)
            return home.hasPrefix("/") ? home : nil
        }
        return nil
    }
}
