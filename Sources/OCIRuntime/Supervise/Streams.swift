import Linux

/// Where output of the container comes from: the reading end of a pipe, or its terminal.
final class OutputSource {
    let descriptor: OwnedFD
    let stream: LogWriter.Stream
    let token: UInt64
    var isWatched = false
    var hasEnded = false

    init(_ descriptor: consuming OwnedFD, _ stream: LogWriter.Stream, token: UInt64) {
        self.descriptor = descriptor
        self.stream = stream
        self.token = token
    }
}

/// Where input of the container goes: the writing end of a pipe, or its terminal.
final class InputSink {
    private let isTerminal: Bool
    private var descriptor: OwnedFD?
    private var queue = ByteQueue()
    private var endsWhenEmpty = false
    var isWatched = false

    /// More than this waiting makes those who send wait.
    private static let enough = 256 << 10

    /// A terminal comes later than what is meant for it may.
    init(_ descriptor: consuming OwnedFD, isTerminal: Bool = false) {
        self.descriptor = consume descriptor
        self.isTerminal = isTerminal
    }

    init() {
        descriptor = nil
        isTerminal = true
    }

    func setTerminal(_ terminal: consuming OwnedFD) {
        descriptor = consume terminal
        flush()
    }

    /// The number of the descriptor, as long as it is open.
    var rawFD: Int32? { descriptor?.raw }

    /// Whether something waits for the program to read on.
    var isWaiting: Bool { descriptor != nil && !queue.isEmpty }

    var isFull: Bool { queue.count > Self.enough }

    /// It is to be closed, but is not yet.
    var endsLater: Bool { endsWhenEmpty && descriptor != nil }

    func write(_ bytes: [UInt8]) {
        if endsWhenEmpty { return }
        queue.append(bytes)
        flush()
    }

    /// The container's program reads the end of its input after what is there already. A terminal has no such end.
    func end() {
        if isTerminal { return }
        endsWhenEmpty = true
        flush()
    }

    func flush() {
        if descriptor == nil { return }
        do {
            try queue.drain { (bytes) throws(SystemError) in try descriptor?.writeAvailable(bytes) ?? 0 }
        } catch {
            // The program has closed its input: nobody wants this, nor anything later.
            queue = ByteQueue()
            endsWhenEmpty = !isTerminal
        }
        if endsWhenEmpty && queue.isEmpty { descriptor = nil }
    }

    func close() {
        queue = ByteQueue()
        endsWhenEmpty = true
        descriptor = nil
    }
}
