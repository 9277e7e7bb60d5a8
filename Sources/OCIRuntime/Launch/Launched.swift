public import Linux

/// A process that was cloned for a container and prepares itself there.
///
///     parent                         child
///       |  ---- begin -----------------> |   (only when it waits for the parent's part: id tables, network devices)
///       |  <--- mounted ---------------- |   (only with hooks of the runtime)
///       |  ---- begin -----------------> |   (the hooks have run)
///       |  <--- seccomp + descriptor --- |   (only with a listener: passed on to it at once)
///       |  <--- terminal + descriptor -- |   (only when it was asked for)
///       |  <--- ready ------------------ |   everything is set up, the program exists
///       |  ---- go --------------------> |   `release()`
///       |  <--- end of file ------------ |   execve worked: the channel is close-on-exec
///       |  <--- error, code, message --- |   instead of any of the above
public struct Launched: ~Copyable, Sendable {
    /// As the caller sees it. The caller has to reap it.
    public let pid: Int32
    public let pidfd: OwnedFD
    /// The side of the terminal that is not the container's; arrives before `.ready`.
    public private(set) var terminal: OwnedFD?
    /// Who gets the descriptor of a seccomp filter.
    var listener: SeccompListener?
    private let channel: Channel
    private var released = false

    init(pid: Int32, pidfd: consuming OwnedFD, channel: consuming Channel, terminal: consuming OwnedFD? = nil) {
        self.pid = pid
        self.pidfd = pidfd
        self.channel = channel
        self.terminal = terminal
    }

    public enum Status: Sendable, Equatable {
        case ready
        /// The program runs.
        case started
        /// The process has ended or is about to; it still has to be reaped.
        case failed(LaunchError)
    }

    /// Becomes readable when `nextStatus` has something to say.
    public var statusFD: Int32 { channel.descriptor.raw }

    /// What happened next: `.ready`, and after `release()` either `.started` or `.failed`. Waits for it.
    public mutating func nextStatus() throws(SystemError) -> Status {
        while true {
            guard var message = try channel.receive() else {
                if released { return .started }
                return .failed(LaunchError(message: "container process ended before it was ready"))
            }
            switch LaunchMessage(message.bytes) {
            case .terminal: terminal = message.takeDescriptor()
            case .ready: return .ready
            case .failed(let error): return .failed(error)
            case .seccomp:
                do { try passOn(message.takeDescriptor()) } catch { return .failed(error) }
            case .mounted, .cloned, nil:
                return .failed(LaunchError(message: "container process sent an unknown message"))
            }
        }
    }

    /// A process whose calls nobody can answer does not go on.
    private func passOn(_ descriptor: consuming OwnedFD?) throws(LaunchError) {
        do throws(LaunchError) {
            guard let listener, let descriptor else { throw LaunchError(message: "seccomp descriptor without listenerPath") }
            try listener.send(descriptor, pid: pid)
        } catch {
            // It may have ended by itself, which is as good.
            try? sendSignal(.kill, to: pidfd)
            throw error
        }
    }

    /// Waits until the process has made its mounts.
    func waitUntilMounted() throws {
        guard let message = try channel.receive() else {
            throw LaunchError(message: "container process ended before it was ready")
        }
        switch LaunchMessage(message.bytes) {
        case .mounted: return
        case .failed(let error): throw error
        default: throw LaunchError(message: "container process sent an unknown message")
        }
    }

    /// Tells a child that waits for its parent's preparations that they are done.
    func begin() throws(SystemError) {
        try channel.send([0])
    }

    /// Kills and reaps the process.
    func abandon() {
        // It may have ended by itself, which is as good; there is nothing else that could fail.
        try? sendSignal(.kill, to: pidfd)
        _ = try? reap(pid)
    }

    /// Gives the terminal to the caller.
    public mutating func takeTerminal() -> OwnedFD? {
        terminal.take()
    }

    /// Gives the process to the caller, who has no more to say to it.
    consuming func takeProcess() -> HeldFD { HeldFD(pidfd) }

    /// Lets the process, which has to be ready, go on to its program.
    public mutating func release() throws(SystemError) {
        released = true
        try channel.send([1])
    }

    /// Waits until the process is ready; throws `LaunchError` when it is not going to be.
    public mutating func waitUntilReady() throws {
        switch try nextStatus() {
        case .ready: return
        case .failed(let error): throw error
        case .started: throw LaunchError(message: "container process started too early")
        }
    }

    /// Lets the ready process go and waits until its program runs.
    public mutating func open() throws {
        try release()
        switch try nextStatus() {
        case .started: return
        case .failed(let error): throw error
        case .ready: throw LaunchError(message: "container process was ready twice")
        }
    }
}

/// What the child says: a letter, for an error followed by its exit code and a text.
enum LaunchMessage {
    case terminal
    case ready
    case mounted
    case seccomp
    /// From the process in between: the pid of the one that is meant.
    case cloned(Int32)
    case failed(LaunchError)

    init?(_ bytes: [UInt8]) {
        switch bytes.first {
        case UInt8(ascii: "T"): self = .terminal
        case UInt8(ascii: "R"): self = .ready
        case UInt8(ascii: "M"): self = .mounted
        case UInt8(ascii: "S"): self = .seccomp
        case UInt8(ascii: "P") where bytes.count == 5:
            self = .cloned(bytes.dropFirst().reduce(0) { $0 << 8 | Int32($1) })
        case UInt8(ascii: "E") where bytes.count >= 2:
            let text = String(decoding: bytes.dropFirst(2), as: UTF8.self)
            self = .failed(LaunchError(exitCode: Int32(bytes[1]), message: text))
        default: return nil
        }
    }

    var bytes: [UInt8] {
        switch self {
        case .terminal: [UInt8(ascii: "T")]
        case .ready: [UInt8(ascii: "R")]
        case .mounted: [UInt8(ascii: "M")]
        case .seccomp: [UInt8(ascii: "S")]
        case .cloned(let pid):
            [UInt8(ascii: "P")] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: pid >> Int32($0)) }
        case .failed(let error):
            [UInt8(ascii: "E"), UInt8(truncatingIfNeeded: error.exitCode)] + error.message.utf8.prefix(16384)
        }
    }
}
