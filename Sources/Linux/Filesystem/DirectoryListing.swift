import CLinux
import Glibc

/// The names in a directory in the kernel's order, without `.` and `..`. The directory must have been opened for
/// reading; its position is moved to the start first.
public func namesInDirectory(_ directory: borrowing OwnedFD) throws(SystemError) -> [FileName] {
    let raw = directory.raw
    try check("lseek") { lseek(raw, 0, SEEK_SET) }
    var names: [FileName] = []
    let size = 64 << 10
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 8)
    defer { buffer.deallocate() }
    while true {
        let count = try check("getdents64") { getdents64(raw, buffer, size) }
        if count == 0 { return names }
        appendNames(UnsafeRawBufferPointer(start: buffer, count: Int(count)), to: &names)
    }
}

/// Each record: inode (8 bytes), offset (8), its own length (2), kind (1), the name with a zero byte.
private func appendNames(_ records: UnsafeRawBufferPointer, to names: inout [FileName]) {
    var start = 0
    while start + 19 < records.count {
        let length = Int(records.loadUnaligned(fromByteOffset: start + 16, as: UInt16.self))
        let name = records[(start + 19)..<(start + length)].prefix { $0 != 0 }
        let isDots = name.count <= 2 && name.allSatisfy { $0 == UInt8(ascii: ".") }
        if !isDots { names.append(FileName(checked: name)) }
        start += length
    }
}
