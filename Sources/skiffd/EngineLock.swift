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
