import CLinux
import Glibc
import SystemPackage

// Control files hold one short text each; the kernel takes a value in one write or refuses it.
extension Cgroup {
    static func write(_ value: String, to file: FilePath) throws(SystemError) {
        try write(value, to: try OwnedFD.open(file, .writeOnly), subject: file.string)
    }

    static func write(_ value: String, to file: borrowing OwnedFD, subject: String) throws(SystemError) {
        var value = value
        let raw = file.raw
        try check("write", subject) { value.withUTF8 { Glibc.write(raw, $0.baseAddress, $0.count) } }
    }

    /// The text without its last line break.
    static func read(_ file: FilePath) throws(SystemError) -> String {
        let descriptor = try OwnedFD.open(file, .readOnly)
        var bytes = try descriptor.readAll(limit: 4 << 20)
        while let last = bytes.last, last == UInt8(ascii: "\n") { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The number in a file; `max` and what is not a number are nil.
    static func readNumber(_ file: FilePath) throws(SystemError) -> UInt64? {
        UInt64(try read(file))
    }

    /// Lines of the form `name number`.
    static func readTable(_ file: FilePath) throws(SystemError) -> [(name: String, value: UInt64)] {
        var table: [(name: String, value: UInt64)] = []
        for line in try read(file).split(separator: "\n") {
            let parts = line.split(separator: " ")
            if parts.count == 2, let value = UInt64(parts[1]) { table.append((String(parts[0]), value)) }
        }
        return table
    }

    /// A file of one controller; an error where the group has no such controller.
    func file(_ controller: CgroupController, _ name: String) throws(SystemError) -> FilePath {
        guard let directory = directory(controller) else {
            throw SystemError(errno: .notSupported, call: "cgroup \(controller.rawValue)", subject: path)
        }
        return directory.appending(name)
    }
}
