import Linux
import OCI
import SystemPackage

/// Stays beside one process of a container, from before its start until its end is told to everybody: passes its input and
/// output, writes its log, notes how it ended. One thread, one loop; nothing in here waits but for the loop's events.
///
///     waiting --START--> starting --execve--> running --end--> leaving
///        |                  |                                     ^
///        +------------------+-----------failure or abort----------+
final class Supervisor {
    enum Phase {
        /// The process prepares itself; it is `ready` when it waits for nothing but us. `startAsked` is the engine's word.
        case waiting(ready: Bool, startAsked: Bool)
        /// It was let go; whether its program could be executed is not known yet.
        case starting(Timestamp)
        case running(Timestamp)
        /// Nothing is left but to tell it.
        case leaving
    }

    let options: SuperviseOptions
    let directory: OwnedFD
    let epoll: Epoll
    let log: LogWriter?
    let input: InputSink?

    var phase = Phase.waiting(ready: false, startAsked: false)
    /// The process until its program runs; from then on `process` stands for it.
    var launched: Launched?
    var process: HeldFD?
    var pid: Int32 = 0
    /// The process was reaped; its number means nothing any more.
    var hasEnded = false
    var listener: UnixListener?
    var children: ChildSignals?
    var cgroup: Cgroup?
    /// Of a supervisor that was renewed: the group, which is not opened before it is needed.
    var cgroupPath: String?
    /// All processes of the container end with its first one, since it leads their pid namespace.
    var ownsProcesses = true
    var usesTerminal = false
    var state = SupervisedState()
    var sources: [OutputSource] = []
    var connections: [Connection] = []
    var lastToken = Token.firstConnection
    var windowSize: WindowSize?
    /// The last word for everybody: `exited` or `failed`.
    var verdict: (type: FrameType, payload: [UInt8])?
    var deadline: Int64?
    /// Whether it is to execute itself anew when nothing happens for a while.
    var mayRenew = true
    /// It would have, but something was under way.
    var isHeldUp = false
    /// Entries of the log wait for the process that writes them.
    var watchesLog: Int32?
    let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 32 << 10, alignment: 16)

    enum Token {
        static let listener: UInt64 = 1
        static let children: UInt64 = 2
        static let status: UInt64 = 3
        static let stdout: UInt64 = 4
        static let stderr: UInt64 = 5
        static let stdin: UInt64 = 6
        static let log: UInt64 = 7
        static let firstConnection: UInt64 = 16
    }

    /// How much may wait for one connection before the container has to.
    static let mostWaiting = 1 << 20

    init(_ options: SuperviseOptions, directory: consuming OwnedFD, input: InputSink?, log: LogWriter?, terminal: Bool) throws {
        self.options = options
        usesTerminal = terminal
        self.directory = directory
        epoll = try Epoll()
        self.input = input
        self.log = log
    }

    deinit {
        readBuffer.deallocate()
    }

    /// A container without its log is better than none: `docker logs` is for people, the container may not be.
    static func openLog(_ options: SuperviseOptions, _ opened: consuming OwnedFD? = nil, hasReported: Bool = false) -> LogWriter? {
        guard options.exec == nil, let path = options.log else { return nil }
        do {
            let attributes = options.hasLogAttributes ? try text("log-attributes.json", options) : nil
            return LogWriter(
                try destination(path, options, opened), options.logLimits, attributes: attributes, journal: openJournal(options),
                hasReported: hasReported
            ) {
                Self.report("log is not written: \($0)")
            }
        } catch {
            report("log is not written: \(error)")
            return nil
        }
    }

    private static func destination(_ path: FilePath, _ options: SuperviseOptions, _ opened: consuming OwnedFD?) throws -> any LogDestination {
        guard let most = options.logBuffer else { return DirectLog(try LogFile(path, options.logLimits, opened)) }
        return try BufferedLog(path, options.logLimits, most: most, opened)
    }

    private static func text(_ name: String, _ options: SuperviseOptions) throws -> String {
        String(decoding: try OwnedFD.open(options.directory.appending(name), .readOnly).readAll(limit: 16 << 20), as: UTF8.self)
    }

    private static func openJournal(_ options: SuperviseOptions) -> JournalWriter? {
        guard let socket = options.journal else { return nil }
        do {
            return try JournalWriter(socket, fields: try text("journal.json", options), waits: options.logBuffer == nil) {
                report("lines are missing in the journal: \($0)")
            }
        } catch {
            report("nothing is written to the journal: \(error)")
            return nil
        }
    }

    /// For people who look why something does not work, in supervisor.log.
    static func report(_ text: String) {
        // Where should a failure to report go?
        try? StandardStream.error.write("skiff-runtime supervise: \(text)\n")
    }

    // MARK: What the frames ask for

    func take(_ frame: Frame, from connection: Connection) throws(ProtocolError) {
        switch frame.type {
        case .stdin: input?.write(frame.payload)
        case .stdinEnd: input?.end()
        case .attach:
            guard let flags = frame.payload.first, frame.payload.count == 1, flags & ~15 == 0 else { throw ProtocolError() }
            connection.attachment.formUnion(Connection.Attachment(rawValue: flags))
            connection.send(.attached, [])
        case .resize:
            guard let size = frame.numbers(2, 2) else { throw ProtocolError() }
            resize(WindowSize(rows: UInt16(size[0]), columns: UInt16(size[1])))
        case .start: start()
        case .signal:
            guard let number = frame.numbers(4)?.first, number <= 64 else { throw ProtocolError() }
            connection.send(.done, Array(signal(Int32(number)).utf8))
        case .subscribe:
            connection.isSubscribed = true
            tellPresent(connection)
        default: throw ProtocolError()
        }
        connection.waitsForStdin = input?.isFull ?? false
    }

    /// Tells what happened before somebody asked.
    private func tellPresent(_ connection: Connection) {
        if case .running = phase { connection.send(.started, []) }
        if let verdict { connection.send(verdict.type, verdict.payload) }
    }

    private func resize(_ size: WindowSize) {
        windowSize = size
        guard usesTerminal, let terminal = sources.first, !terminal.hasEnded else { return }
        // A terminal that closes at this moment needs no size.
        try? size.set(terminal.descriptor.raw)
    }

    private func signal(_ number: Int32) -> String {
        do {
            guard !hasEnded else { return Self.alreadyFinished }
            try send(Signal(rawValue: number))
            return ""
        } catch {
            return error.errno == .noSuchProcess ? Self.alreadyFinished : "\(error)"
        }
    }

    private static let alreadyFinished = "process already finished"

    // MARK: Connections

    func accept() throws(SystemError) {
        while let socket = try listener?.accept() { add(socket, isControl: false) }
    }

    @discardableResult
    func add(_ socket: consuming OwnedFD, isControl: Bool) -> Connection {
        lastToken += 1
        let connection = Connection(socket, token: lastToken, isControl: isControl)
        connections.append(connection)
        if case .leaving = phase { tellPresent(connection) }
        return connection
    }

    /// Takes what a connection says, until it says nothing at the moment, or has to wait.
    func hear(_ connection: Connection) {
        do {
            while !connection.waitsForStdin && !connection.isLost && !connection.hasStoppedSending {
                switch try connection.socket.readAvailable(into: readBuffer) {
                case .later: return
                case .end: connection.hasStoppedSending = true
                case .bytes(let count):
                    connection.reader.append(UnsafeRawBufferPointer(rebasing: readBuffer[..<count]))
                    try takeFrames(connection)
                }
            }
        } catch {
            // What it says is no protocol, or its socket is broken: either way it cannot be talked to.
            connection.isLost = true
        }
    }

    func takeFrames(_ connection: Connection) throws(ProtocolError) {
        while !connection.waitsForStdin, let frame = try connection.reader.next() { try take(frame, from: connection) }
    }

    /// Stdin has room again.
    func letSendersGoOn() {
        guard input.map({ !$0.isFull }) ?? true else { return }
        for connection in connections where connection.waitsForStdin {
            connection.waitsForStdin = false
            do { try takeFrames(connection) } catch { connection.isLost = true }
        }
    }

    /// Lets go of connections that are lost and draws the consequences.
    func dropLost() {
        let lost = connections.filter(\.isLost)
        if lost.isEmpty { return }
        connections.removeAll(where: \.isLost)
        for connection in lost {
            // Closing the last descriptor of a socket ends its watch.
            if options.stdinOnce && connection.attachment.contains(.lossEndsStdin) { input?.end() }
            if connection.isControl, case .waiting(_, startAsked: false) = phase { abandon() }
        }
    }
}
