import CLinux
import Glibc
import SystemPackage

/// The three descriptors that a program begins with.
public enum StandardStream: Int32, Sendable {
    case input = 0
    case output = 1
    case error = 2

    public var isTerminal: Bool { TerminalMode.isTerminal(rawValue) }

    /// Writes everything; may sleep while the reader is slow.
    public func write(_ bytes: [UInt8]) throws(SystemError) {
        var start = 0
        while start < bytes.count {
            start += try check("write", "\(self)") {
                bytes.withUnsafeBytes { Glibc.write(rawValue, $0.baseAddress?.advanced(by: start), $0.count - start) }
            }
        }
    }

    public func write(_ text: String) throws(SystemError) {
        try write(Array(text.utf8))
    }
}

/// A pipe: what is written to one end comes out of the other. Each end is closed when its last owner lets go.
public func makePipe() throws(SystemError) -> (reading: SharedFD, writing: SharedFD) {
    var ends: [Int32] = [-1, -1]
    try check("pipe2") { pipe2(&ends, O_CLOEXEC) }
    return (SharedFD(OwnedFD(adopting: ends[0])), SharedFD(OwnedFD(adopting: ends[1])))
}
