import CLinux
import Glibc
import SystemPackage

/// What a read without waiting brought.
public enum ReadResult: Sendable, Equatable {
    case bytes(Int)
    case end
    /// Nothing at the moment.
    case later
}

extension OwnedFD {
    /// Reads and writes no longer wait, for everybody who shares the open file.
    public func setNonBlocking() throws(SystemError) {
        let flags = try check("fcntl F_GETFL") { fcntl(raw, F_GETFL, 0) }
        try check("fcntl F_SETFL") { fcntl(raw, F_SETFL, flags | O_NONBLOCK) }
    }

    /// Reads what is there. The loss of the other end is the end: a connection that was reset, a terminal that nobody has
    /// open any more (EIO).
    public func readAvailable(into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> ReadResult {
        do {
            let count = try read(into: buffer)
            return count == 0 ? .end : .bytes(count)
        } catch {
            switch error.errno {
            case .wouldBlock, .resourceTemporarilyUnavailable: return .later
            case .ioError, .connectionReset: return .end
            default: throw error
            }
        }
    }

    /// Writes what there is room for and says how much that was; 0 is nothing at the moment.
    public func writeAvailable(_ bytes: UnsafeRawBufferPointer) throws(SystemError) -> Int {
        do {
            return try check("write") { Glibc.write(raw, bytes.baseAddress, bytes.count) }
        } catch {
            if error.errno == .wouldBlock || error.errno == .resourceTemporarilyUnavailable { return 0 }
            throw error
        }
    }
}

/// Makes a pipe, both ends close-on-exec, and gives the ends away.
public func openPipe<T>(
    _ use: (_ reading: consuming OwnedFD, _ writing: consuming OwnedFD) throws -> T
) throws -> T {
    var ends: [Int32] = [-1, -1]
    try check("pipe2") { pipe2(&ends, O_CLOEXEC) }
    return try use(OwnedFD(adopting: ends[0]), OwnedFD(adopting: ends[1]))
}
