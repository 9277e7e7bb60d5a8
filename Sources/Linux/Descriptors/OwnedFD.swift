import CLinux
import Glibc
import SystemPackage

/// A descriptor that is closed when its owner lets go.
///
/// Functions borrow it; `release()` gives it away, `close()` closes it where the error matters.
public struct OwnedFD: ~Copyable, Sendable {
    /// The number of the descriptor. Valid as long as the owner lives; never keep it longer.
    public let raw: Int32

    /// Takes over a descriptor that nobody else will close.
    public init(adopting raw: Int32) {
        self.raw = raw
    }

    deinit {
        _ = Glibc.close(raw)
    }

    /// Closes now and reports what `close(2)` answers, for instance a failed write-back.
    public consuming func close() throws(SystemError) {
        let raw = release()
        // Not repeated after EINTR: Linux has released the number by then (close(2)).
        if Glibc.close(raw) == -1, Glibc.errno != EINTR {
            throw SystemError(errno: Errno(rawValue: Glibc.errno), call: "close")
        }
    }

    /// Gives the descriptor to the caller, who has to close it.
    public consuming func release() -> Int32 {
        let raw = self.raw
        discard self
        return raw
    }

    /// A second descriptor for the same open file (close-on-exec).
    public func duplicate() throws(SystemError) -> OwnedFD {
        OwnedFD(adopting: try check("fcntl F_DUPFD_CLOEXEC") { fcntl(raw, F_DUPFD_CLOEXEC, 0) })
    }
}

/// A descriptor with several owners: closed when the last one lets go. For places that cannot hold a `~Copyable` value.
public final class SharedFD: Sendable {
    private let owned: OwnedFD

    public init(_ owned: consuming OwnedFD) {
        self.owned = owned
    }

    /// The number of the descriptor, valid as long as somebody holds this object.
    public var raw: Int32 { owned.raw }

    /// A descriptor with an owner of its own for the same open file.
    public func duplicate() throws(SystemError) -> OwnedFD { try owned.duplicate() }

    /// Lends the descriptor to a function that borrows one.
    public func withOwned<T: ~Copyable, E: Error>(_ body: (borrowing OwnedFD) throws(E) -> T) throws(E) -> T { try body(owned) }
}
