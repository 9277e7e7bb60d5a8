import CLinux
import Glibc
import SystemPackage

/// Opens a directory below `root` by the names on the way, which are bytes. Links are followed inside the root only;
/// with `followingLinks: false` one on the way is an error (`ELOOP`). Answers a mere place (`O_PATH`).
public func openDirectory(_ path: ArraySlice<FileName>, root: borrowing OwnedFD, followingLinks: Bool = true)
    throws(SystemError) -> OwnedFD
{
    try openInRoot(path, root: root, flags: O_PATH | O_DIRECTORY, followingLinks: followingLinks)
}

/// Opens a file below `root` for reading in the same way; the last name is never followed.
public func openFile(_ path: ArraySlice<FileName>, root: borrowing OwnedFD) throws(SystemError) -> OwnedFD {
    try openInRoot(path, root: root, flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK, followingLinks: true)
}

private func openInRoot(_ path: ArraySlice<FileName>, root: borrowing OwnedFD, flags: Int32, followingLinks: Bool)
    throws(SystemError) -> OwnedFD
{
    let raw = root.raw
    let inRoot: UInt64 = 0x10
    let noMagicLinks: UInt64 = 0x02
    let limits = inRoot | noMagicLinks | (followingLinks ? 0 : 0x04)
    let joined = path.isEmpty ? [UInt8(ascii: ".")] : Array(path.map(\.bytes).joined(separator: [UInt8(ascii: "/")]))
    let name = joined.map(CChar.init(bitPattern:)) + [0]
    while true {
        do {
            return OwnedFD(
                adopting: try check("openat2", String(decoding: joined, as: UTF8.self)) {
                    clinux_openat2(raw, name, UInt64(flags | O_CLOEXEC), 0, limits)
                })
        } catch  where error.errno == .resourceTemporarilyUnavailable {
            // A rename elsewhere made the kernel unsure about a "..": the man page says to try again.
            continue
        }
    }
}
