import ArgumentParser
import Engine
import Linux
import SystemPackage

/// Only one engine works on a data root and an exec root.
struct EngineLock: ~Copyable {
    private let data: FileLock
    private let exec: FileLock

    static func acquire(_ paths: EnginePaths) throws -> EngineLock {
        for directory in [paths.dataRoot, paths.execRoot] { try makeDirectories(directory, mode: 0o700) }
        // It may have been there: what images and containers hold is never for other users to walk into.
        try fchmod(try OwnedFD.open(paths.dataRoot, [.readOnly, .directory]), mode: 0o700)
        return EngineLock(
            data: try lock(paths.dataRoot.appending("engine.lock")), exec: try lock(paths.execRoot.appending("engine.pid")))
    }

    private static func lock(_ path: FilePath) throws -> FileLock {
        guard let lock = try FileLock.acquire(path) else {
            throw ValidationError("another engine is at work here: \(path) is locked")
        }
        try lock.write(Array("\(CurrentProcess.id)\n".utf8))
        return lock
    }
}

/// The socket that clients come to: made here, or handed over by systemd.
struct EngineSocket: ~Copyable {
    /// For messages.
    let path: String
    let descriptor: OwnedFD
    private let file: FilePath?

    static func make(host: String?, execRoot: FilePath) throws -> EngineSocket {
        if let inherited = try InheritedSocket.take() {
            return EngineSocket(path: "from systemd", descriptor: inherited, file: nil)
        }
        let path: FilePath
        if let host {
            guard host.hasPrefix("unix://") else {
                throw ValidationError("only unix:// sockets can be listened on in this version of Skiff, not '\(host)'")
            }
            path = FilePath(String(host.dropFirst(7))).lexicallyNormalized()
        } else {
            path = execRoot.appending("docker.sock")
        }
        guard let name = path.lastComponent?.string else { throw ValidationError("no socket in '\(path)'") }
        let directory = try OwnedFD.open(path.removingLastComponent(), [.path, .directory])
        let listener = try UnixListener(name: name, in: directory)
        return EngineSocket(path: path.string, descriptor: try listener.descriptor.duplicate(), file: path)
    }

    /// The name goes; connections that exist go on.
    func remove() throws {
        if let file { try unlink(file) }
    }
}
