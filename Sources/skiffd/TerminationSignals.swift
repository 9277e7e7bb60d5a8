import Dispatch
import Linux

/// SIGTERM and SIGINT as something to wait for.
final class TerminationSignals: Sendable {
    private let stream: AsyncStream<Signal>
    private let sources: [any DispatchSourceSignal]

    init() throws {
        let (stream, continuation) = AsyncStream.makeStream(of: Signal.self)
        self.stream = stream
        sources = [Signal.terminate, Signal.interrupt].map { signal in
            ignoreSignal(signal)
            let source = DispatchSource.makeSignalSource(signal: signal.rawValue)
            source.setEventHandler { continuation.yield(signal) }
            source.resume()
            return source
        }
    }

    /// The next of them; also when the waiting task is cancelled.
    func next() async -> Signal {
        for await signal in stream { return signal }
        return .terminate
    }
}
