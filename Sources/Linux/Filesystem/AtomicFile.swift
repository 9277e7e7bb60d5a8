import CLinux
import Glibc
public import SystemPackage

/// Replaces a file so that a reader sees either the old or the new content, whole. With `sync` the new content is on
/// disk when the call returns; without it a power cut may bring back the old one.
public func writeAtomically(_ bytes: [UInt8], to path: FilePath, mode: UInt32 = 0o600, sync: Bool) throws(SystemError) {
    try NewContent(bytes, of: path, mode: mode, sync: sync).putInPlace()
    if sync { try syncDirectory(path.place.directory) }
}

/// What a file is to hold, written beside it under another name, for whoever has time before it may be seen.
public struct NewContent {
    private let path: FilePath
    private let temporary: FilePath

    /// Writes it. With `sync` it is on disk then.
    public init(_ bytes: [UInt8], of path: FilePath, mode: UInt32 = 0o600, sync: Bool) throws(SystemError) {
        let (directory, name) = path.place
        self.path = path
        temporary = directory.appending(".\(name)-\(hexadecimal(.random(in: .min ... .max)))")
        do {
            let file = try OwnedFD.open(temporary, [.writeOnly, .create, .exclusive, .noFollow], mode: mode)
            try fchmod(file, mode: mode)
            try file.writeAll(bytes)
            if sync { try file.sync() }
        } catch {
            discard()
            throw error
        }
    }

    /// From now on a reader of the file sees it.
    public func putInPlace() throws(SystemError) {
        do {
            try rename(temporary, to: path)
        } catch {
            discard()
            throw error
        }
    }

    /// The first error is the one to tell; the name is ours alone, and a left-over is swept at the next start.
    private func discard() { try? unlink(temporary) }
}

extension FilePath {
    /// The directory and the name in it, as `removingLastComponent()` and `lastComponent` tell them. Those are written for
    /// every kind of collection, whose types Swift puts together at their first use; a container's start feels that.
    var place: (directory: FilePath, name: String) {
        let text = string
        guard let slash = text.utf8.lastIndex(of: UInt8(ascii: "/")) else { return ("", text) }
        let parent = slash == text.startIndex ? "/" : String(text[..<slash])
        return (FilePath(parent), String(text[text.utf8.index(after: slash)...]))
    }
}

/// Waits until the names in a directory are on disk.
public func syncDirectory(_ path: FilePath) throws(SystemError) {
    try OwnedFD.open(path, [.readOnly, .directory]).sync()
}

/// Waits until everything that was written to the file system of a path is on disk (syncfs(2)). One call for a whole tree
/// costs far less than one for each of its files.
public func syncFilesystem(of path: FilePath) throws(SystemError) {
    let place = try OwnedFD.open(path, [.readOnly, .directory])
    let raw = place.raw
    try check("syncfs", path.string) { syncfs(raw) }
}

// Calls on paths that the program itself made up.

public func rename(_ from: FilePath, to: FilePath) throws(SystemError) {
    try check("rename", "\(from) to \(to)") {
        from.withPlatformString { old in to.withPlatformString { Glibc.rename(old, $0) } }
    }
}

public func unlink(_ path: FilePath) throws(SystemError) {
    try check("unlink", path.string) { path.withPlatformString { Glibc.unlink($0) } }
}

/// Makes a directory and those above it that are missing. One that exists is left as it is.
public func makeDirectories(_ path: FilePath, mode: UInt32 = 0o700) throws(SystemError) {
    do {
        try check("mkdir", path.string) { path.withPlatformString { Glibc.mkdir($0, mode) } }
    } catch  where error.errno == .fileExists {
        return
    } catch  where error.errno == .noSuchFileOrDirectory {
        let parent = path.removingLastComponent()
        guard parent != path, !parent.isEmpty else { throw error }
        try makeDirectories(parent, mode: mode)
        try makeDirectories(path, mode: mode)
    }
}

/// Removes a file; no error when there is none, or somebody else was faster.
public func unlinkIfExists(_ path: FilePath) throws(SystemError) {
    do {
        try unlink(path)
    } catch {
        guard error.errno == .noSuchFileOrDirectory else { throw error }
    }
}

/// 16 digits, small letters.
public func hexadecimal(_ number: UInt64) -> String {
    var digits: [UInt8] = []
    for place in 0..<16 {
        let digit = UInt8(truncatingIfNeeded: number >> (60 - 4 * UInt64(place))) & 15
        digits.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
    }
    return String(decoding: digits, as: UTF8.self)
}

/// As `elementsEqual`, which looks at each byte by itself.
public func areEqual(_ one: ArraySlice<UInt8>, _ other: ArraySlice<UInt8>) -> Bool {
    one.withUnsafeBytes { one in
        other.withUnsafeBytes { other in
            guard one.count == other.count, let start = one.baseAddress, let otherStart = other.baseAddress else { return one.count == other.count }
            return memcmp(start, otherStart, one.count) == 0
        }
    }
}
