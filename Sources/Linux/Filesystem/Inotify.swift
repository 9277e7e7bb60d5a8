import CLinux
import Glibc
public import SystemPackage

/// Tells when files change (inotify(7)).
public struct Inotify: ~Copyable, Sendable {
    private let descriptor: OwnedFD

    public init() throws(SystemError) {
        descriptor = OwnedFD(adopting: try check("inotify_init1") { inotify_init1(Int32(IN_CLOEXEC) | Int32(IN_NONBLOCK)) })
    }

    /// The number to wait for with poll: readable when something happened.
    public var raw: Int32 { descriptor.raw }

    /// Watches a file for writes, and for being renamed. The number names the watch in `readEvents`.
    public func watchWrites(_ path: FilePath) throws(SystemError) -> Int32 {
        let raw = descriptor.raw
        return try check("inotify_add_watch", path.string) {
            path.withPlatformString { inotify_add_watch(raw, $0, UInt32(IN_MODIFY | IN_CLOSE_WRITE | IN_MOVE_SELF)) }
        }
    }

    /// Forgets what happened so far; true when anything had.
    public func drain() throws(SystemError) -> Bool {
        var happened = false
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 8)
        defer { buffer.deallocate() }
        while true {
            do {
                guard try descriptor.read(into: buffer) > 0 else { return happened }
                happened = true
            } catch  where error.errno == .wouldBlock || error.errno == .resourceTemporarilyUnavailable {
                return happened
            }
        }
    }
}

/// Waits until a descriptor can be written, at most `milliseconds`. False when time ran out.
public func pollWritable(_ raw: Int32, milliseconds: Int32) throws(SystemError) -> Bool {
    try pollOne(raw, POLLOUT, milliseconds)
}

/// Waits until a descriptor can be read, at most `milliseconds`. False when time ran out.
public func pollReadable(_ raw: Int32, milliseconds: Int32) throws(SystemError) -> Bool {
    try pollOne(raw, POLLIN, milliseconds)
}

private func pollOne(_ raw: Int32, _ events: Int32, _ milliseconds: Int32) throws(SystemError) -> Bool {
    var entry = pollfd(fd: raw, events: Int16(events), revents: 0)
    return try check("poll") { poll(&entry, 1, milliseconds) } > 0
}
