import Linux
import SystemPackage

/// What a supervisor tells itself when it executes itself anew: numbers, most of them of descriptors that it keeps.
///
/// The start of a container fills 200 KiB of tables, heap and stack, which an idle supervisor would keep for as long as the
/// container lives. Executed anew it has its state, its children and its descriptors, and nothing of that memory. What
/// happens in that moment waits: signals are blocked, data stays in pipes and sockets, and ends are asked for afterwards.
struct Renewal {
    /// What there is of the container's standard input.
    enum Input: Equatable {
        case none
        case ended
        case open(Int32)
    }

    struct Source {
        var descriptor: Int32
        var stream: LogWriter.Stream
    }

    struct Peer {
        var descriptor: Int32
        var isControl: Bool
        var isSubscribed: Bool
        var hasStoppedSending: Bool
        var attachment: Connection.Attachment
    }

    var pid: Int32
    /// Stands for the process, whatever its number means later.
    var process: Int32
    var started: Timestamp
    var directory: Int32
    var listener: Int32
    var ownsProcesses: Bool
    var usesTerminal: Bool
    /// The log that is written; it has no descriptor if the container has none.
    var log: Int32?
    var hasReportedLog: Bool
    var input: Input
    var sources: [Source]
    var peers: [Peer]

    /// All descriptors that are named.
    var descriptors: [Int32] {
        var all = [process, directory, listener] + sources.map(\.descriptor) + peers.map(\.descriptor)
        if let log { all.append(log) }
        if case .open(let descriptor) = input { all.append(descriptor) }
        return all
    }

    var text: String {
        func bits(_ all: Bool...) -> Int64 { all.reversed().reduce(0) { $0 << 1 | ($1 ? 1 : 0) } }
        let inputNumber: Int64 =
            switch input {
            case .none: -2
            case .ended: -1
            case .open(let descriptor): Int64(descriptor)
            }
        var numbers: [Int64] = [
            Int64(pid), Int64(process), started.seconds, started.nanoseconds, Int64(directory), Int64(listener),
            bits(ownsProcesses, usesTerminal, hasReportedLog), Int64(log ?? -1), inputNumber, Int64(sources.count),
        ]
        for source in sources { numbers += [Int64(source.descriptor), Int64(source.stream.rawValue)] }
        for peer in peers {
            let flags = bits(peer.isControl, peer.isSubscribed, peer.hasStoppedSending)
            numbers += [Int64(peer.descriptor), flags, Int64(peer.attachment.rawValue)]
        }
        return numbers.map(String.init).joined(separator: ",")
    }

    /// Nil when it is none of `text`.
    init?(_ text: String) {
        var rest = text.split(separator: ",", omittingEmptySubsequences: false).map { Int64($0) }[...]
        func next() -> Int64? { rest.popFirst() ?? nil }
        func descriptor() -> Int32? { next().flatMap { Int32(exactly: $0) } }
        guard let pid = descriptor(), let process = descriptor(), let seconds = next(), let nanoseconds = next(),
            let directory = descriptor(), let listener = descriptor(), let flags = next(), let log = descriptor(),
            let inputNumber = descriptor(), let count = next(), (0...2).contains(count), pid > 0
        else { return nil }
        (self.pid, self.process, self.directory, self.listener) = (pid, process, directory, listener)
        started = Timestamp(seconds: seconds, nanoseconds: nanoseconds)
        (ownsProcesses, usesTerminal, hasReportedLog) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0)
        self.log = log < 0 ? nil : log
        input = inputNumber == -2 ? .none : inputNumber < 0 ? .ended : .open(inputNumber)
        sources = []
        for _ in 0..<count {
            guard let raw = descriptor(), let stream = next().flatMap({ LogWriter.Stream(rawValue: Int($0)) }) else { return nil }
            sources.append(Source(descriptor: raw, stream: stream))
        }
        peers = []
        while !rest.isEmpty {
            guard let raw = descriptor(), let flags = next(), let attachment = next().flatMap({ UInt8(exactly: $0) }) else { return nil }
            peers.append(
                Peer(
                    descriptor: raw, isControl: flags & 1 != 0, isSubscribed: flags & 2 != 0, hasStoppedSending: flags & 4 != 0,
                    attachment: Connection.Attachment(rawValue: attachment)))
        }
    }

    init(
        pid: Int32, process: Int32, started: Timestamp, directory: Int32, listener: Int32, ownsProcesses: Bool, usesTerminal: Bool,
        log: Int32?, hasReportedLog: Bool, input: Input, sources: [Source], peers: [Peer]
    ) {
        (self.pid, self.process, self.started, self.directory, self.listener) = (pid, process, started, directory, listener)
        (self.ownsProcesses, self.usesTerminal) = (ownsProcesses, usesTerminal)
        (self.log, self.hasReportedLog) = (log, hasReportedLog)
        (self.input, self.sources, self.peers) = (input, sources, peers)
    }
}

extension Supervisor {
    /// How long nothing has to happen before it is worth it: short containers never get here.
    static let quietMilliseconds: Int32 = 1000

    /// Executes this program anew, if nothing is under way. Otherwise, or when it fails, all goes on as it is.
    func renew() {
        mayRenew = false
        guard let renewal = renewal() else {
            // Something waits: a half line for the log, a frame. Later, after something has happened.
            isHeldUp = true
            return
        }
        var words = Self.withoutDescriptors(CommandLine.arguments) + ["--resume", renewal.text]
        if let path = cgroup?.path { words += ["--cgroup", path] }
        do {
            try ProgramFile.executeAgain(words, keeping: renewal.descriptors)
        } catch {
            Self.report("goes on with the memory of the start: \(error)")
        }
    }

    /// Nil while there is something that only this process's memory knows.
    private func renewal() -> Renewal? {
        guard case .running(let started) = phase, !hasEnded, let process, let listenerFD = listener?.descriptor.raw, options.journal == nil,
            input.map({ !$0.isWaiting && !$0.endsLater }) ?? true, log?.isIdle ?? true,
            !connections.contains(where: { !$0.isIdle })
        else { return nil }
        return Renewal(
            pid: pid, process: process.fd.raw, started: started, directory: directory.raw, listener: listenerFD,
            ownsProcesses: ownsProcesses, usesTerminal: usesTerminal, log: log?.destination.rawFD, hasReportedLog: log?.hasReported ?? false,
            input: input.map { $0.rawFD.map { .open($0) } ?? .ended } ?? .none,
            sources: sources.filter { !$0.hasEnded }.map { .init(descriptor: $0.descriptor.raw, stream: $0.stream) },
            peers: connections.map {
                .init(
                    descriptor: $0.socket.raw, isControl: $0.isControl, isSubscribed: $0.isSubscribed,
                    hasStoppedSending: $0.hasStoppedSending, attachment: $0.attachment)
            })
    }

    /// The numbers of descriptors that the start was given mean nothing afterwards.
    static func withoutDescriptors(_ arguments: [String]) -> [String] {
        var kept: [String] = []
        var rest = arguments[...]
        while let word = rest.popFirst() {
            if ["--control-fd", "--root-fd", "--mount-fd"].contains(word) { _ = rest.popFirst() } else { kept.append(word) }
        }
        return kept
    }

    /// The supervisor that goes on after `renew`.
    static func resume(_ options: SuperviseOptions, _ renewal: Renewal) throws -> Supervisor {
        var input: InputSink?
        switch renewal.input {
        case .none: break
        case .ended:
            input = InputSink()
            input?.close()
        case .open(let descriptor): input = InputSink(try InheritedSocket.adopt(descriptor), isTerminal: renewal.usesTerminal)
        }
        let log = try renewal.log.map { try openLog(options, InheritedSocket.adopt($0), hasReported: renewal.hasReportedLog) } ?? nil
        let supervisor = try Supervisor(
            options, directory: try InheritedSocket.adopt(renewal.directory), input: input, log: log, terminal: renewal.usesTerminal)
        try supervisor.adopt(renewal)
        return supervisor
    }

    private func adopt(_ renewal: Renewal) throws {
        mayRenew = false
        pid = renewal.pid
        ownsProcesses = renewal.ownsProcesses
        cgroupPath = options.cgroup
        phase = .running(renewal.started)
        process = HeldFD(try InheritedSocket.adopt(renewal.process))
        try listen(UnixListener(adopting: try InheritedSocket.adopt(renewal.listener)))
        try hearChildren()
        sources = try renewal.sources.map {
            OutputSource(try InheritedSocket.adopt($0.descriptor), $0.stream, token: $0.stream == .stdout ? Token.stdout : Token.stderr)
        }
        for peer in renewal.peers {
            let connection = add(try InheritedSocket.adopt(peer.descriptor), isControl: peer.isControl)
            connection.attachment = peer.attachment
            connection.isSubscribed = peer.isSubscribed
            connection.hasStoppedSending = peer.hasStoppedSending
        }
        releaseFreeMemory()
        // The process may have ended in between.
        try reapAll()
        releaseCode()
    }
}
