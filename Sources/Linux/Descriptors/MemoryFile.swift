import CLinux
import Glibc

/// An empty file without a place in any file system, gone with its last descriptor (memfd_create(2)).
public func memoryFile(_ name: String) throws(SystemError) -> OwnedFD {
    OwnedFD(adopting: try check("memfd_create", name) { memfd_create(name, UInt32(MFD_CLOEXEC)) })
}

extension OwnedFD {
    /// The next read begins at the start of the file.
    public func rewind() throws(SystemError) {
        try check("lseek") { lseek(raw, 0, SEEK_SET) }
    }
}
