public import SystemPackage

/// A line of `mountinfo` (proc_pid_mountinfo(5)): a mount, by the number that the kernel has for it, and where it is.
public struct MountedPlace: Sendable, Equatable {
    public let number: UInt64
    /// As whoever opened the file sees it.
    public let path: FilePath
    /// What is mounted on it is mounted on others too.
    public let isShared: Bool

    /// The first mounted first.
    public static func all(_ mountinfo: borrowing OwnedFD) throws(SystemError) -> [MountedPlace] {
        parse(try mountinfo.readAll(limit: 16 << 20))
    }

    static func parse(_ bytes: [UInt8]) -> [MountedPlace] {
        bytes.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 5)
            guard fields.count == 6, let number = UInt64(String(decoding: fields[0], as: UTF8.self)) else { return nil }
            // After the options, up to a dash: `shared:1`, `master:2`.
            let isShared = fields[5].split(separator: UInt8(ascii: " ")).dropFirst().prefix { $0 != [UInt8(ascii: "-")] }
                .contains { $0.starts(with: Array("shared:".utf8)) }
            return MountedPlace(number: number, path: FilePath(unescaped(fields[4])), isShared: isShared)
        }
    }

    /// Blanks and the like stand there as `\040`.
    private static func unescaped(_ bytes: ArraySlice<UInt8>) -> String {
        var result: [UInt8] = []
        var rest = bytes
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8) {
                result.append(code)
                rest = rest.dropFirst(3)
            } else {
                result.append(byte)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
