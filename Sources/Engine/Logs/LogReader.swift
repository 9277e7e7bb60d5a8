import Blocking
import FoundationEssentials
import Linux
import Logging
import NIOCore
import OCI
import SystemPackage

/// What `docker logs` asks for.
public struct LogQuery: Sendable {
    public var stdout = true
    public var stderr = true
    public var follow = false
    public var timestamps = false
    /// With the attributes of each line.
    public var details = false
    public var since: Timestamp?
    public var until: Timestamp?
    /// The last lines only; nil is all.
    public var tail: Int?

    public init() {}
}

/// One line of a container's log.
struct LogEntry: Codable, Sendable {
    var log: String
    var stream: String
    var time: String
    /// Labels and variables that the log driver was told to note.
    var attrs: [String: String]?

    /// As the API sends it: bare for a terminal, otherwise with the header that names the stream.
    func encoded(terminal: Bool, timestamps: Bool, details: Bool = false) -> ByteBuffer {
        let noted = details ? "\(attributeText) " : ""
        let text = ByteBuffer(string: timestamps ? "\(fullTime) \(noted)\(log)" : noted + log)
        if terminal { return text }
        return SupervisorFrame(kind: stream == "stderr" ? .stderr : .stdout, payload: text).encoded
    }

    /// `a=1,b=two+words`
    private var attributeText: String {
        (attrs ?? [:]).sorted { $0.key < $1.key }.map { "\(Self.escaped($0.key))=\(Self.escaped($0.value))" }.joined(separator: ",")
    }

    /// As in a form: a blank is a plus.
    private static func escaped(_ text: String) -> String { text.percentEncoded(keeping: " ").replacing(" ", with: "+") }

    /// With all nine digits: the log leaves out zeros at the end, Docker's `logs -t` shows them.
    private var fullTime: String {
        guard time.hasSuffix("Z") else { return time }
        let parts = time.dropLast().split(separator: ".", maxSplits: 1)
        let fraction = parts.count > 1 ? parts[1] : ""
        return "\(parts.first ?? "").\(fraction)\(String(repeating: "0", count: max(0, 9 - fraction.count)))Z"
    }
}

/// Reads a log in Docker's json-file format, from the beginning or the last lines, and follows it while it grows.
struct LogReader: Sendable {
    let path: FilePath
    let query: LogQuery
    let logger: Logger

    /// Delivers each entry that the query wants. `isLive` says whether more can come; it is asked before the last look.
    func run(isLive: @Sendable () async -> Bool, deliver: @Sendable (LogEntry) async throws -> Void) async throws {
        guard var (file, offset) = try await blocking({ try start() }) else { return }
        var watch = try await makeWatch(file)
        var rest: [UInt8] = []
        while true {
            try Task.checkCancellation()
            let live = query.follow ? await isLive() : false
            let (chunk, next) = try await blocking { [files, file, offset] in
                let chunk = try Self.read(file, at: offset)
                guard chunk.isEmpty, let next = try files.next(after: file) else { return (chunk, nil as LogPart?) }
                // The writer may have added to this file just before it began the next.
                let last = try Self.read(file, at: offset)
                return last.isEmpty ? (last, next) : (last, nil)
            }
            offset += Int64(chunk.count)
            rest += chunk
            for line in Self.takeLines(&rest) {
                guard let entry = Self.decode(line) else { continue }
                if try await !pass(entry, deliver) { return }
            }
            if !chunk.isEmpty { continue }
            if let next {
                // It had been begun before the last look, so nothing comes here any more.
                (file, offset, rest) = (next, 0, [])
                watch = try await makeWatch(file)
                continue
            }
            guard live, let watch else { return }
            try await watch.wait()
        }
    }

    private var files: LogFiles { LogFiles(path: path, logger: logger) }

    private func makeWatch(_ file: LogPart) async throws -> LogWatch? {
        query.follow ? try await blocking { try LogWatch(file.file) } : nil
    }

    /// Where to begin: at the oldest entry, or at the first of the last ones. nil when nothing was ever logged.
    private func start() throws -> (file: LogPart, offset: Int64)? {
        let all = try files.open()
        guard let oldest = all.first else { return nil }
        guard var wanted = query.tail else { return (oldest, 0) }
        for file in all.reversed() {
            let found = try TailSearch(try file.text()).find(lastLines: wanted)
            if found.lines >= wanted { return (file, found.offset) }
            wanted -= found.lines
        }
        return (oldest, 0)
    }

    /// False when the query's end is reached.
    private func pass(_ entry: LogEntry, _ deliver: (LogEntry) async throws -> Void) async throws -> Bool {
        if query.since != nil || query.until != nil, let time = Timestamp(rfc3339: entry.time) {
            if let since = query.since, time < since { return true }
            if let until = query.until, until < time { return false }
        }
        if entry.stream == "stderr" ? query.stderr : query.stdout { try await deliver(entry) }
        return true
    }

    private static func read(_ file: LogPart, at offset: Int64) throws -> [UInt8] {
        try file.text().withOwned { try $0.read(at: offset, count: 256 << 10) }
    }

    private static func takeLines(_ bytes: inout [UInt8]) -> [ArraySlice<UInt8>] {
        guard let end = bytes.lastIndex(of: UInt8(ascii: "\n")) else { return [] }
        let lines = bytes[...end].split(separator: UInt8(ascii: "\n"))
        bytes.removeSubrange(...end)
        return lines
    }

    /// nil for a line that a crash cut off.
    private static func decode(_ line: ArraySlice<UInt8>) -> LogEntry? {
        try? JSONDecoder().decode(LogEntry.self, from: Data(line))  // See above.
    }
}

/// Finds where the last lines of a file begin, from its end backwards.
private struct TailSearch {
    let file: SharedFD

    init(_ file: SharedFD) {
        self.file = file
    }

    /// How many of the lines are there, and where they begin.
    func find(lastLines: Int) throws -> (offset: Int64, lines: Int) {
        let size = try file.withOwned { try fstat($0).size }
        if lastLines <= 0 || size == 0 { return (size, 0) }
        var found = 0
        var end = size
        while end > 0 {
            let start = max(0, end - 64 << 10)
            let chunk = try file.withOwned { try $0.read(at: start, count: Int(end - start)) }
            for index in chunk.indices.reversed() where chunk[index] == UInt8(ascii: "\n") {
                // The line feed at the very end closes the last line.
                guard start + Int64(index) != size - 1 else { continue }
                found += 1
                if found == lastLines { return (start + Int64(index) + 1, found) }
            }
            end = start
        }
        return (0, found + 1)
    }
}

/// Waits for a log to grow or to make way. A container that ends closes its log, which counts as well.
private final class LogWatch: Sendable {
    private let inotify: Inotify

    /// The file may have any name by now.
    init(_ file: SharedFD) throws {
        inotify = try Inotify()
        _ = try inotify.watchWrites(FilePath("/proc/self/fd/\(file.raw)"))
    }

    /// Returns when the file changed, and now and then without a change: the container may have ended in between.
    func wait() async throws {
        try Task.checkCancellation()
        for _ in 0..<10 {
            if try await blocking({ try self.changed() }) { return }
            try Task.checkCancellation()
        }
    }

    private func changed() throws -> Bool {
        guard try pollReadable(inotify.raw, milliseconds: 100) else { return false }
        return try inotify.drain()
    }
}
