import Linux
import SystemPackage

/// Where the entries of a log go.
protocol LogDestination: AnyObject {
    /// Takes whole entries.
    func write(_ entries: [UInt8]) throws(SystemError)
    /// Everything is where it belongs, as far as that can be.
    func finish() throws(SystemError)
    /// Nothing is under way.
    var isIdle: Bool { get }
    /// What a supervisor that executes itself anew keeps.
    var rawFD: Int32 { get }
    /// A descriptor that entries wait to be written to.
    var waitingFD: Int32? { get }
    /// When entries that wait are to be tried again, by `monotonicMilliseconds`; nil: nothing is known of when.
    var due: Int64? { get }
    /// It has room again, or the time has come.
    func flush() throws(SystemError)
}

/// The file itself: whoever writes waits for the disk.
final class DirectLog: LogDestination {
    private var file: LogFile

    init(_ file: consuming LogFile) {
        self.file = file
    }

    func write(_ entries: [UInt8]) throws(SystemError) { try file.write(entries) }
    func finish() throws(SystemError) { try file.stopPacking() }
    var isIdle: Bool { !file.isPacking }
    var rawFD: Int32 { file.rawFD }
    var waitingFD: Int32? { nil }
    var due: Int64? { nil }
    func flush() {}
}

/// A process that writes the file, so that nobody here waits for the disk. What it does not take waits in memory; what has no
/// room there is lost, as whoever chooses this accepts (`mode=non-blocking`). When the process has died another one is started,
/// with what waits here, but not at once after the last one; what the dead one had taken is lost.
final class BufferedLog: LogDestination {
    private let path: FilePath
    private let limits: LogFile.Limits?
    private let most: Int
    private var socket: HeldFD
    /// The one before, which may still be watched.
    private var former: HeldFD?
    private var queue = ByteQueue()
    /// Part of an entry was sent, and its rest waits.
    private var isInsideEntry = false
    private var nextStart: Int64 = 0
    private(set) var due: Int64?

    /// A process that cannot do its work is not started again and again.
    private static let pause: Int64 = 1000

    /// How long the last entries of a container may take.
    private static let patience: Int32 = 10_000

    /// Starts the process, unless one is there already at the other end of `opened`.
    init(_ path: FilePath, _ limits: LogFile.Limits?, most: Int, _ opened: consuming OwnedFD?) throws(SystemError) {
        self.path = path
        self.limits = limits
        self.most = most
        if let opened { socket = HeldFD(opened) } else { socket = try Self.start(path, limits) }
    }

    private static func start(_ path: FilePath, _ limits: LogFile.Limits?) throws(SystemError) -> HeldFD {
        let (ours, theirs) = try SocketPair().take()
        let null = try OwnedFD.open("/dev/null", .readWrite)
        var arguments = [LogProcess.command, path.string]
        if let limits { arguments += ["\(limits.bytes)", "\(limits.files)", limits.packs ? "1" : "0"] }
        _ = try spawn(
            "/proc/self/exe", named: "skiff-runtime", arguments: arguments, environment: [], descriptors: [theirs.raw, null.raw, 2])
        withExtendedLifetime(theirs) {}
        return HeldFD(try ours.duplicate())
    }

    private func startAnew() throws(SystemError) {
        nextStart = monotonicMilliseconds() + Self.pause
        let next = try Self.start(path, limits)
        Supervisor.report("the process that writes the log has ended; another one goes on")
        (former, socket) = (socket, next)
        // The new one knows nothing of the first part.
        if isInsideEntry { queue.drop(through: UInt8(ascii: "\n")) }
        isInsideEntry = false
    }

    func write(_ entries: [UInt8]) throws(SystemError) {
        var rest = entries[...]
        while !rest.isEmpty {
            // Some whole entries at a time: what there is room for is not to be lost with the others.
            let end = rest.dropFirst(Self.piece).firstIndex(of: UInt8(ascii: "\n")) ?? rest.index(before: rest.endIndex)
            let piece = rest[...end]
            rest = rest[(end + 1)...]
            if queue.count + piece.count > most { try flush() }
            // As with Docker, what is larger than all the room goes alone.
            if queue.isEmpty || queue.count + piece.count <= most { queue.append(piece) }
        }
        try flush()
    }

    private static let piece = 2048

    func flush() throws(SystemError) {
        if let due, monotonicMilliseconds() < due { return }
        due = nil
        do throws(SystemError) {
            do throws(SystemError) {
                try send()
            } catch {
                guard Self.meansDead(error), monotonicMilliseconds() >= nextStart else { throw error }
                try startAnew()
                try send()
            }
        } catch {
            // What waits goes on waiting, as far as there is room.
            due = Self.meansDead(error) ? nextStart : monotonicMilliseconds() + Self.pause
            if !Self.meansDead(error) { throw error }
        }
    }

    private static func meansDead(_ error: SystemError) -> Bool { error.errno == .brokenPipe || error.errno == .connectionReset }

    private func send() throws(SystemError) {
        try queue.drain { (bytes) throws(SystemError) in
            let sent = try socket.fd.sendAvailable(bytes)
            if sent > 0 { isInsideEntry = bytes[sent - 1] != UInt8(ascii: "\n") }
            return sent
        }
    }

    func finish() throws(SystemError) {
        let end = monotonicMilliseconds() + Int64(Self.patience)
        try flush()
        if let due {
            // There is one more start for the last entries.
            pauseThread(nanoseconds: max(0, due - monotonicMilliseconds()) * 1_000_000)
            try flush()
        }
        while !queue.isEmpty, due == nil, monotonicMilliseconds() < end {
            _ = try pollWritable(socket.fd.raw, milliseconds: 100)
            try flush()
        }
        // What is left is lost.
        queue = ByteQueue()
        due = nil
        try socket.fd.shutdownSending()
        // It ends its side when everything is written.
        _ = try pollReadable(socket.fd.raw, milliseconds: Int32(clamping: max(0, end - monotonicMilliseconds())))
    }

    var isIdle: Bool { queue.isEmpty }
    var rawFD: Int32 { socket.fd.raw }
    var waitingFD: Int32? { queue.isEmpty || due != nil ? nil : socket.fd.raw }
}

/// The process that writes the file of a `BufferedLog`. It gets entries on standard input, a line each.
enum LogProcess {
    /// The word after the program's name.
    static let command = "write-log"

    static func main(_ arguments: [String]) -> Never {
        do {
            try run(arguments)
            CurrentProcess.exit(0)
        } catch {
            Supervisor.report("log is not written: \(error)")
            CurrentProcess.exit(1)
        }
    }

    private static func run(_ arguments: [String]) throws {
        var limits: LogFile.Limits?
        if arguments.count == 4, let bytes = Int64(arguments[1]), let files = Int(arguments[2]) {
            limits = LogFile.Limits(bytes: bytes, files: files, packs: arguments[3] == "1")
        } else if arguments.count != 1 {
            throw SuperviseOptions.UsageError(description: command)
        }
        // Those that pack its files are its children, whose ends mean nothing.
        ignoreChildren()
        let input = try InheritedSocket.adopt(0)
        var file = try LogFile(FilePath(arguments[0]), limits)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
        defer { buffer.deallocate() }
        var rest: [UInt8] = []
        var hasReported = false
        while true {
            let count = try input.read(into: buffer)
            if count == 0 { break }
            rest.append(contentsOf: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            guard let last = rest.lastIndex(of: UInt8(ascii: "\n")) else { continue }
            do {
                try file.write(Array(rest[...last]))
            } catch {
                if !hasReported { Supervisor.report("log is not written: \(error)") }
                hasReported = true
            }
            rest.removeSubrange(...last)
        }
        try file.stopPacking()
    }
}
