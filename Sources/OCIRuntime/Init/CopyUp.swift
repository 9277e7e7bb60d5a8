import Linux
import SystemPackage

/// Copies a directory's content into an empty file system, with owners, modes, times and attributes: what `tmpcopyup` asks
/// for. Every step goes from one open directory to the next, so that no link leads away.
enum CopyUp {
    static func run(from source: borrowing OwnedFD, to target: borrowing OwnedFD) throws {
        try copyContent(of: try reopenDirectory(source), to: target)
    }

    private static func copyContent(of source: borrowing OwnedFD, to target: borrowing OwnedFD) throws {
        for name in try namesInDirectory(source) {
            let status = try fstatat(source, name)
            try make(name, status, source, target)
            try fchownat(target, name, uid: status.uid, gid: status.gid)
            try copyAttributes(name, source, target)
            if status.kind == .symbolicLink { continue }
            // After the owner, whose change clears bits of the mode.
            try fchmodat(target, name, mode: status.permissions)
            try utimensat(target, name, modified: status.modified)
        }
    }

    /// A tmpfs does not have every kind.
    private static func copyAttributes(_ name: FileName, _ source: borrowing OwnedFD, _ target: borrowing OwnedFD)
        throws(SystemError)
    {
        for (attribute, value) in try xattrsat(source, name) {
            do throws(SystemError) {
                try setxattrat(target, name, attribute: attribute, value: value)
            } catch {
                if error.errno != .notSupported { throw error }
            }
        }
    }

    private static func make(
        _ name: FileName, _ status: FileMetadata, _ source: borrowing OwnedFD, _ target: borrowing OwnedFD
    ) throws {
        switch status.kind {
        case .directory:
            try mkdirat(target, name, mode: 0o700)
            try copyContent(
                of: try openat(source, name, [.readOnly, .directory]), to: try openat(target, name, [.path, .directory]))
        case .symbolicLink: try symlinkat(try readlinkat(source, name), target, name)
        case .regular:
            let from = try openat(source, name, [.readOnly, .nonBlocking])
            let to = try openat(target, name, [.writeOnly, .create, .exclusive])
            try copyBytes(from, to)
        case .characterDevice, .blockDevice, .fifo, .socket:
            try mknodat(
                target, name, kind: status.kind, mode: 0o600, major: status.deviceMajor, minor: status.deviceMinor)
        }
    }

    private static func copyBytes(_ source: borrowing OwnedFD, _ target: borrowing OwnedFD) throws(SystemError) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 1)
        defer { buffer.deallocate() }
        while true {
            let count = try source.read(into: buffer)
            if count == 0 { return }
            try target.writeAll(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }
}
