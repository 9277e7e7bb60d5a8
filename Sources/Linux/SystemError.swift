import CLinux
import Glibc
public import SystemPackage

/// A system call that failed: which call, on what, and why.
public struct SystemError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What the kernel answered.
    public let errno: Errno
    /// The call, as its manual page names it, perhaps with a word on the purpose (`mount overlay`).
    public let call: String
    /// The object of the call: a path, a name, a pid. Empty where there is none.
    public let subject: String

    public init(errno: Errno, call: String, subject: String = "") {
        self.errno = errno
        self.call = call
        self.subject = subject
    }

    /// `mount overlay on /x: No space left on device`
    public var description: String {
        subject.isEmpty ? "\(call): \(errno)" : "\(call) \(subject): \(errno)"
    }
}

/// Makes a call that answers -1 on failure, again after each signal.
@discardableResult
public func check<T: FixedWidthInteger>(
    _ call: StaticString, _ subject: @autoclosure () -> String = "", _ body: () -> T
) throws(SystemError) -> T {
    while true {
        let result = body()
        if result != -1 { return result }
        let errno = Errno(rawValue: Glibc.errno)
        if errno == .interrupted { continue }
        assert(errno != .badFileDescriptor && errno != .badAddress, "\(call) \(subject()): \(errno)")
        throw SystemError(errno: errno, call: "\(call)", subject: subject())
    }
}
