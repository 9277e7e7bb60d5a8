import CLinux
import Glibc
import SystemPackage

extension SharedFD {
    /// Reads at most `buffer.count` bytes; 0 is the end.
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
        try check("read") { Glibc.read(raw, buffer.baseAddress, buffer.count) }
    }

    /// Writes everything, in as many calls as it takes.
    public func writeAll(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        var rest = bytes
        while !rest.isEmpty {
            let written = try check("write") { Glibc.write(raw, rest.baseAddress, rest.count) }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(written))
        }
    }
}

/// Writes everything at a place in the file, whatever its position.
public func pwriteAll(_ file: borrowing OwnedFD, _ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(SystemError) {
    let raw = file.raw
    var (rest, offset) = (bytes, offset)
    while !rest.isEmpty {
        let written = try check("pwrite") { Glibc.pwrite(raw, rest.baseAddress, rest.count, Int(offset)) }
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(written))
        offset += Int64(written)
    }
}

/// Begins to write a part of the file to the disk (up to the end when `length` is 0), so that a later sync has less to wait
/// for. A hint: whoever needs the bytes on disk has to sync nevertheless, and hears of failures then.
public func startWriting(_ file: borrowing OwnedFD, from offset: Int64, length: Int64) {
    _ = sync_file_range(file.raw, Int(offset), Int(length), UInt32(SYNC_FILE_RANGE_WRITE))
}

/// Makes the file shorter, or longer by a hole.
public func ftruncate(_ file: borrowing OwnedFD, size: Int64) throws(SystemError) {
    let raw = file.raw
    try check("ftruncate") { Glibc.ftruncate(raw, Int(size)) }
}

/// Reads from a place in the file, whatever its position; 0 is the end.
public func pread(_ file: borrowing OwnedFD, into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(SystemError) -> Int {
    let raw = file.raw
    return try check("pread") { Glibc.pread(raw, buffer.baseAddress, buffer.count, Int(offset)) }
}
