import CLinux
import Glibc
import SystemPackage

// Extended attributes of a name in a directory (never followed) and of an open file. There are calls with a directory
// descriptor only since Linux 6.13; until then the way goes through procfs, whose last component the `l` calls do not follow.

public func setxattrat(_ directory: borrowing OwnedFD, _ name: FileName, attribute: String, value: [UInt8])
    throws(SystemError)
{
    let path = procPath(directory, name)
    try check("lsetxattr", "\(attribute) on \(name)") { lsetxattr(path, attribute, value, value.count, 0) }
}

public func fsetxattr(_ file: borrowing OwnedFD, attribute: String, value: [UInt8]) throws(SystemError) {
    let raw = file.raw
    try check("fsetxattr", attribute) { CLinux.fsetxattr(raw, attribute, value, value.count, 0) }
}

public func removexattrat(_ directory: borrowing OwnedFD, _ name: FileName, attribute: String) throws(SystemError) {
    let path = procPath(directory, name)
    try check("lremovexattr", attribute) { lremovexattr(path, attribute) }
}

/// All attributes by name, sorted. A file system without attributes has none.
public func xattrsat(_ directory: borrowing OwnedFD, _ name: FileName) throws(SystemError) -> [(name: String, value: [UInt8])] {
    let path = procPath(directory, name)
    return try attributes(
        list: { llistxattr(path, $0, $1) }, get: { lgetxattr(path, $0, $1, $2) })
}

/// The same of an open file.
public func fxattrs(_ file: borrowing OwnedFD) throws(SystemError) -> [(name: String, value: [UInt8])] {
    let raw = file.raw
    return try attributes(list: { flistxattr(raw, $0, $1) }, get: { fgetxattr(raw, $0, $1, $2) })
}

private func procPath(_ directory: borrowing OwnedFD, _ name: FileName) -> [CChar] {
    let start = "/proc/self/fd/\(directory.raw)/".utf8.map(CChar.init(bitPattern:))
    return start + name.bytes.map(CChar.init(bitPattern:)) + [0]
}

private func attributes(
    list: (UnsafeMutablePointer<CChar>?, Int) -> Int,
    get: (UnsafePointer<CChar>, UnsafeMutableRawPointer?, Int) -> Int
) throws(SystemError) -> [(name: String, value: [UInt8])] {
    let names: [CChar]
    do {
        let size = try check("listxattr") { list(nil, 0) }
        if size == 0 { return [] }
        // The list cannot be longer than the kernel's limit, whatever happens between two calls.
        var buffer = [CChar](repeating: 0, count: 64 << 10)
        let count = try check("listxattr") { list(&buffer, buffer.count) }
        names = Array(buffer[..<count])
    } catch  where error.errno == .notSupported {
        return []
    }
    var result: [(name: String, value: [UInt8])] = []
    for name in names.split(separator: 0) {
        let text = String(decoding: name.map(UInt8.init(bitPattern:)), as: UTF8.self)
        let terminated = Array(name) + [0]
        let size = try check("getxattr", text) { get(terminated, nil, 0) }
        var value = [UInt8](repeating: 0, count: size)
        let count = try check("getxattr", text) { value.withUnsafeMutableBytes { get(terminated, $0.baseAddress, $0.count) } }
        value.removeLast(size - count)
        result.append((text, value))
    }
    return result.sorted { $0.name < $1.name }
}
