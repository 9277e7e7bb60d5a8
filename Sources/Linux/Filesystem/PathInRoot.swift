import CLinux
import Glibc
import SystemPackage

/// Paths that come from an image, a container, an archive or a client, resolved inside a root directory.
///
/// Absolute links and `..` stay inside that root (`openat2` with `RESOLVE_IN_ROOT`), magic links of procfs are refused.
/// What comes out is a descriptor; use that and never the path again.
public enum PathInRoot {
    /// Limits on the resolution besides those that always hold: the `RESOLVE_*` bits of openat2(2).
    public struct Resolve: OptionSet, Sendable {
        public let rawValue: UInt64
        public init(rawValue: UInt64) { self.rawValue = rawValue }

        /// Crossing a mount point is an error (`EXDEV`).
        public static let noCrossing = Resolve(rawValue: 0x01)
        static let noMagicLinks = Resolve(rawValue: 0x02)
        /// A symbolic link anywhere in the path is an error (`ELOOP`).
        public static let noSymbolicLinks = Resolve(rawValue: 0x04)
        static let inRoot = Resolve(rawValue: 0x10)
    }

    /// Opens `path` as if `root` were `/`. `OpenFlags.path` gives a place without access to its content.
    public static func open(
        _ path: String, root: borrowing OwnedFD, flags: OpenFlags, mode: UInt32 = 0, resolve: Resolve = []
    ) throws(SystemError) -> OwnedFD {
        let raw = root.raw
        let wanted = UInt64(UInt32(bitPattern: flags.rawValue | O_CLOEXEC))
        let limits = resolve.union([.inRoot, .noMagicLinks]).rawValue
        // The kernel takes an empty path for an error; here it means the root, as in "/".
        let name = path.isEmpty ? "/" : path
        guard !name.utf8.contains(0) else { throw SystemError(errno: .invalidArgument, call: "openat2", subject: path) }
        while true {
            do {
                return OwnedFD(
                    adopting: try check("openat2", path) {
                        clinux_openat2(raw, name, wanted, UInt64(mode), limits)
                    })
            } catch  where error.errno == .resourceTemporarilyUnavailable {
                // A rename elsewhere made the kernel unsure about a "..": the man page says to try again.
                continue
            }
        }
    }

    /// A directory and the name of something in it, which need not exist. `name` has no slash and is not empty, `.` or `..`.
    public struct Parent: ~Copyable, Sendable {
        public let directory: OwnedFD
        public let name: String
    }

    /// Opens the directory that `path` lies in. Links in the directory part are followed in the root, the last
    /// component is left alone. `EINVAL` when the path has no such component (`/`, `a/..`).
    public static func openParent(of path: String, root: borrowing OwnedFD) throws(SystemError) -> Parent {
        let (directory, name) = try splitting(path)
        return Parent(directory: try open(directory, root: root, flags: [.path, .directory]), name: name)
    }

    /// The directory part, with a leading slash, and the last component. `EINVAL` as for `openParent`.
    public static func splitting(_ path: String) throws(SystemError) -> (directory: String, name: String) {
        let parts = components(path)
        guard let name = parts.last, name != ".." else {
            throw SystemError(errno: .invalidArgument, call: "path", subject: path)
        }
        var directory = ""
        for part in parts.dropLast() { directory += "/" + part }
        return (directory.isEmpty ? "/" : directory, name)
    }

    /// Makes `path` and all that is missing on the way to it, and opens it (`O_PATH`). Links are followed inside the
    /// root, also those whose target does not exist yet.
    @discardableResult
    public static func makeDirectories(_ path: String, root: borrowing OwnedFD, mode: UInt32 = 0o755)
        throws(SystemError) -> OwnedFD
    {
        do {
            return try open(path, root: root, flags: [.path, .directory])
        } catch  where error.errno != .noSuchFileOrDirectory {
            throw error
        } catch {
            return try makeMissing(path, root: root, mode: mode)
        }
    }

    private static func makeMissing(_ path: String, root: borrowing OwnedFD, mode: UInt32) throws(SystemError) -> OwnedFD {
        var done = ""
        var rest = Array(components(path).reversed())
        var current = try open("/", root: root, flags: [.path, .directory])
        var links = 0
        while let next = rest.popLast() {
            let reached = done + "/" + next
            do {
                current = try open(reached, root: root, flags: [.path, .directory])
                done = reached
                continue
            } catch  where error.errno != .noSuchFileOrDirectory {
                throw error
            } catch {
                // Missing: made below, and looked at again.
            }
            do {
                let raw = current.raw
                try check("mkdirat", reached) { mkdirat(raw, next, mode) }
                rest.append(next)
            } catch  where error.errno == .fileExists {
                // Somebody else made it just now, or it is a link to nowhere, whose target is made instead.
                links += 1
                guard links <= 40 else {
                    throw SystemError(errno: .tooManySymbolicLinkLevels, call: "mkdirat", subject: reached)
                }
                guard let target = try linkTarget(of: next, in: current) else {
                    rest.append(next)
                    continue
                }
                if target.hasPrefix("/") {
                    done = ""
                    current = try open("/", root: root, flags: [.path, .directory])
                }
                rest += components(target).reversed()
            }
        }
        return current
    }

    /// What a symbolic link says, or nil when `name` is something else.
    private static func linkTarget(of name: String, in directory: borrowing OwnedFD) throws(SystemError) -> String? {
        let raw = directory.raw
        var buffer = [CChar](repeating: 0, count: 4096)
        do {
            let count = try check("readlinkat", name) { readlinkat(raw, name, &buffer, buffer.count) }
            return String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
        } catch  where error.errno == .invalidArgument {
            return nil
        }
    }

    private static func components(_ path: String) -> [String] {
        pathComponents(path).filter { $0 != "." }
    }
}

/// What lies between the slashes of a path, without what is empty.
func pathComponents(_ path: String) -> [String] {
    pieces(of: Array(path.utf8), at: UInt8(ascii: "/"))
}

/// What lies between separators, without what is empty. A start of a container asks often, and for `split` Swift first puts
/// together several types.
public func pieces(of bytes: [UInt8], at separator: UInt8) -> [String] {
    var pieces: [String] = []
    var start = 0
    for end in 0...bytes.count where end == bytes.count || bytes[end] == separator {
        if end > start { pieces.append(String(decoding: bytes[start..<end], as: UTF8.self)) }
        start = end + 1
    }
    return pieces
}
