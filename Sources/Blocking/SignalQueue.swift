import CLinux
import Glibc
public import Linux
import SystemPackage

/// Signals as values: blocked for the whole process, taken one by one.
///
/// Has to be made while the process has one thread; later threads inherit the mask.
public final class SignalQueue: Sendable {
    private let signals: [Signal]

    /// Wakes whoever waits, to tell that nobody wants signals any more.
    private static let stopSign = Signal(rawValue: 40)

    public init(_ signals: [Signal]) throws(SystemError) {
        self.signals = signals
        var set = Self.set(signals + [Self.stopSign])
        let error = pthread_sigmask(SIG_BLOCK, &set, nil)
        guard error == 0 else { throw SystemError(errno: Errno(rawValue: error), call: "pthread_sigmask") }
    }

    /// The next signal, or nil after `stop()`. One caller at a time.
    public func next() async throws -> Signal? {
        let all = signals + [Self.stopSign]
        return try await blocking {
            var set = Self.set(all)
            let number = try check("sigwaitinfo") { sigwaitinfo(&set, nil) }
            return number == Self.stopSign.rawValue ? nil : Signal(rawValue: number)
        }
    }

    /// Ends the present or the next call of `next()`.
    public func stop() {
        _ = Glibc.kill(getpid(), Self.stopSign.rawValue)
    }

    private static func set(_ signals: [Signal]) -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal.rawValue) }
        return set
    }
}
