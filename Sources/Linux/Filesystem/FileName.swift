import CLinux
import Glibc
import SystemPackage

/// The name of one thing in a directory: bytes, for names need not be UTF-8. Never empty, `.` or `..`, never with a slash
/// or a zero byte, so that a call with a directory and a name stays in that directory.
public struct FileName: Sendable, Hashable {
    /// With the zero byte at the end that the kernel wants.
    private let terminated: [CChar]

    public init(_ bytes: some Collection<UInt8>) throws(SystemError) {
        let isDots = bytes.count <= 2 && bytes.allSatisfy { $0 == UInt8(ascii: ".") }
        guard !bytes.isEmpty, !isDots, !bytes.contains(where: { $0 == 0 || $0 == UInt8(ascii: "/") }) else {
            throw SystemError(errno: .invalidArgument, call: "file name", subject: String(decoding: bytes, as: UTF8.self))
        }
        self.init(checked: bytes)
    }

    /// The same for a part of an array, as archives have them by the hundred thousand.
    public init(_ bytes: ArraySlice<UInt8>) throws(SystemError) {
        terminated = try bytes.withUnsafeBufferPointer { bytes throws(SystemError) in
            let isDots = bytes.count <= 2 && bytes.allSatisfy { $0 == UInt8(ascii: ".") }
            guard !bytes.isEmpty, !isDots, !bytes.contains(where: { $0 == 0 || $0 == UInt8(ascii: "/") }) else {
                throw SystemError(errno: .invalidArgument, call: "file name", subject: String(decoding: bytes, as: UTF8.self))
            }
            return [CChar](unsafeUninitializedCapacity: bytes.count + 1) { buffer, count in
                for index in bytes.indices { buffer[index] = CChar(bitPattern: bytes[index]) }
                buffer[bytes.count] = 0
                count = bytes.count + 1
            }
        }
    }

    public init(_ text: some StringProtocol) throws(SystemError) {
        try self.init(Array(text.utf8))
    }

    /// For names from the kernel, which cannot be wrong.
    init(checked bytes: some Collection<UInt8>) {
        var terminated: [CChar] = []
        terminated.reserveCapacity(bytes.count + 1)
        for byte in bytes { terminated.append(CChar(bitPattern: byte)) }
        terminated.append(0)
        self.terminated = terminated
    }

    public var bytes: [UInt8] { terminated.dropLast().map(UInt8.init(bitPattern:)) }

    public func withCString<T>(_ body: (UnsafePointer<CChar>) -> T) -> T {
        terminated.withUnsafeBufferPointer { buffer in
            // The array has at least the final zero, so the address exists.
            buffer.baseAddress.map(body) ?? "".withCString(body)
        }
    }
}

extension FileName: CustomStringConvertible {
    /// For messages; bytes that are not UTF-8 are replaced.
    public var description: String { String(decoding: bytes, as: UTF8.self) }
}

extension FileName: Comparable {
    /// By bytes, whatever the locale.
    public static func < (one: FileName, other: FileName) -> Bool {
        one.terminated.withUnsafeBytes { mine in
            other.terminated.withUnsafeBytes { theirs in mine.lexicographicallyPrecedes(theirs) }
        }
    }
}

extension FileName: ExpressibleByStringLiteral {
    /// Names in the program text are known to be right.
    public init(stringLiteral value: String) {
        assert((try? FileName(value)) != nil, "not a file name: \(value)")
        self.init(checked: value.utf8)
    }
}
