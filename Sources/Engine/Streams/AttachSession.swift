import NIOCore

/// What a client wants of a container's standard streams.
public struct AttachOptions: Sendable {
    public var stdin = false
    public var stdout = false
    public var stderr = false
    /// Follow what happens; without it only the log is replayed.
    public var stream = false
    public var logs = false
    public var detachKeys: String?

    public init() {}

    /// The flags of the supervisor's ATTACH frame.
    var flags: UInt8 {
        (stdout ? 1 : 0) | (stderr ? 2 : 0) | (stdin ? 4 | 8 : 0)
    }
}

/// Joins a client's raw connection with a supervisor's, until either ends.
struct AttachSession: Sendable {
    let client: any ClientStream
    let supervisor: SupervisorConnection
    /// A terminal's output goes out as it is, other output in frames that tell stdout from stderr.
    let terminal: Bool
    let stdin: Bool
    /// The client's end of input ends the container's.
    let closesStdin: Bool
    var detachKeys: DetachKeys

    enum Outcome: Sendable {
        case ended
        case detached
    }

    func run() async throws -> Outcome {
        try await withThrowingTaskGroup(of: Outcome?.self) { group in
            group.addTask { try await output() }
            if stdin {
                group.addTask { try await input() }
            } else {
                // Nothing is expected, but a client that goes away has to be noticed.
                group.addTask { try await drain() }
            }
            defer { group.cancelAll() }
            while let outcome = try await group.next() {
                if let outcome { return outcome }
            }
            return .ended
        }
    }

    private func output() async throws -> Outcome {
        try await withTaskCancellationHandler {
            while let frame = try await supervisor.next() {
                switch frame.kind {
                case .stdout, .stderr:
                    try await client.write(terminal ? frame.payload : frame.encoded)
                default:
                    continue
                }
            }
            return .ended
        } onCancel: {
            supervisor.close()
        }
    }

    private func input() async throws -> Outcome? {
        var keys = detachKeys
        while let bytes = try await client.read() {
            if terminal {
                let (passed, detached) = keys.filter(bytes)
                if passed.readableBytes > 0 { try await forward(passed) }
                if detached { return .detached }
            } else {
                try await forward(bytes)
            }
        }
        if closesStdin { try await forwardEnd() }
        return nil
    }

    /// Input for a process that has just ended is nobody's: the end of output tells the client.
    private func forward(_ bytes: ByteBuffer) async throws {
        var bytes = bytes
        while let part = bytes.readSlice(length: min(bytes.readableBytes, SupervisorFrame.largestPayload)),
            part.readableBytes > 0
        {
            do {
                try await supervisor.send(.stdin, part)
            } catch is ChannelError {
                return
            } catch is IOError {
                return
            }
        }
    }

    private func forwardEnd() async throws {
        do {
            try await supervisor.send(.stdinEnd)
        } catch is ChannelError {
            return
        } catch is IOError {
            return
        }
    }

    private func drain() async throws -> Outcome? {
        while try await client.read() != nil {}
        return nil
    }
}
