public import Linux

/// A system call that failed while an entry was unpacked.
public struct ExtractionError: Error, Sendable, CustomStringConvertible {
    public let path: String
    public let cause: SystemError

    public var description: String { "unpack \(path): \(cause)" }
}
