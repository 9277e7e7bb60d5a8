public import Linux
import SystemPackage

/// A system call that failed while an entry was unpacked.
public struct ExtractionError: Error, Sendable, CustomStringConvertible {
    public let path: String
    public let cause: SystemError

    public var description: String { "unpack \(path): \(cause)" }
}

extension SystemError {
    func isOne(of errors: Errno...) -> Bool { errors.contains(errno) }
}
