import CLinux
import Glibc

/// An empty file without a place in any file system, gone with its last descriptor (memfd_create(2)).
///
/// `isSealable`: seals can be put on it, after which nobody can change it.
public func memoryFile(_ name: String, isSealable: Bool = false) throws(SystemError) -> OwnedFD {
    let flags = UInt32(MFD_CLOEXEC) | (isSealable ? UInt32(MFD_ALLOW_SEALING) : 0)
    return OwnedFD(adopting: try check("memfd_create", name) { memfd_create(name, flags) })
}

extension OwnedFD {
    /// The next read begins at the start of the file.
    public func rewind() throws(SystemError) {
        try check("lseek") { lseek(raw, 0, SEEK_SET) }
    }
}
