import Blocking
import DockerAPI
import FoundationEssentials
import Linux
import SystemPackage

extension Container {
    /// `docker top`: the processes of the container's cgroup as the host sees them. Nothing of the container is run.
    ///
    /// The columns of `ps -ef` are read from procfs; for others the host's own `ps` is asked.
    func top(arguments: String) async throws -> ContainerTopResponse {
        _ = try runningProcess()
        let path = ContainerSpec.cgroup(record.hostConfig, id)
        let pids = try await blocking { try Cgroup.open(path: path).processes().sorted() }
        let words = arguments.split(whereSeparator: \.isWhitespace).map(String.init)
        let response = words.isEmpty || words == ["-ef"] ? try await blocking { ProcessTable.rows(pids) } : try await HostPs(words).rows(pids)
        publish("top")
        return response
    }
}

/// Asks the host's `ps` for columns of the user's choice, and leaves out the lines of others.
struct HostPs {
    private let arguments: [String]
    private static let places = ["/usr/bin/ps", "/bin/ps"]

    /// The column of the pid has to keep its name, since lines are told apart by it.
    init(_ arguments: [String]) throws(EngineError) {
        for argument in arguments {
            guard let equals = argument.firstIndex(of: "="), argument[argument.index(after: equals)...].hasPrefix("PID") else { continue }
            throw EngineError(.invalidArgument, "specifying \"\(argument)\" is not allowed")
        }
        self.arguments = arguments
    }

    func rows(_ pids: [Int32]) async throws -> ContainerTopResponse {
        let list = pids.map { "\($0)" }.joined(separator: ",")
        // With the list `ps` need not look at all processes; some options do not go with one.
        var ended = try await run(arguments + ["-q", list])
        if ended.code != 0 { ended = try await run(arguments) }
        guard ended.code == 0 else { throw EngineError(.internalError, "error running ps: \(ended.output.prefix(500))") }
        return try Self.parse(ended.output, Set(pids))
    }

    private func run(_ arguments: [String]) async throws -> (code: Int32, output: String) {
        let place = try await blocking { try Self.places.first { try lstatIfExists(FilePath($0)) != nil } }
        guard let place else { throw EngineError(.internalError, "the host has no ps; without options none is needed") }
        let (pid, reading) = try await blocking { () -> (Int32, SharedFD) in
            let null = try OwnedFD.open("/dev/null", .readOnly)
            let (reading, writing) = try sharedPipe()
            let pid = try spawn(
                FilePath(place), named: "ps", arguments: arguments, environment: ["LC_ALL=C", "COLUMNS=4096"],
                descriptors: [null.raw, writing.raw, writing.raw])
            withExtendedLifetime(writing) {}
            return (pid, reading)
        }
        let output = try await blocking { try reading.withOwned { try $0.readAll(limit: 16 << 20) } }
        return (try await waitForExit(pid).code, String(decoding: output, as: UTF8.self))
    }

    static func parse(_ output: String, _ pids: Set<Int32>) throws(EngineError) -> ContainerTopResponse {
        let lines = output.split(separator: "\n")
        var response = ContainerTopResponse()
        let titles = (lines.first ?? "").split(whereSeparator: \.isWhitespace).map(String.init)
        guard let column = titles.firstIndex(of: "PID") else { throw EngineError(.internalError, "Couldn't find PID field in ps output") }
        response.Titles = titles
        response.Processes = lines.dropFirst().compactMap { line in
            // The last column is all that is left.
            let fields = line.split(whereSeparator: \.isWhitespace).map(String.init)
            guard column < fields.count, let pid = Int32(fields[column]), pids.contains(pid) else { return nil }
            return fields.prefix(titles.count - 1) + [fields.dropFirst(titles.count - 1).joined(separator: " ")]
        }
        return response
    }
}

/// The columns of `ps -ef`.
enum ProcessTable {
    static func rows(_ pids: [Int32]) -> ContainerTopResponse {
        var response = ContainerTopResponse()
        response.Titles = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
        let now = Timestamp.now().seconds
        let uptime = Int64(Double(text("/proc/uptime").prefix { $0 != " " }) ?? 0)
        // A process may end while we look: then it has no row.
        response.Processes = pids.compactMap { row($0, now: now, uptime: uptime) }
        return response
    }

    private static func row(_ pid: Int32, now: Int64, uptime: Int64) -> [String]? {
        let stat = text("/proc/\(pid)/stat")
        // The name stands in parentheses and may contain anything, parentheses too.
        guard let close = stat.lastIndex(of: ")"), let open = stat.firstIndex(of: "(") else { return nil }
        let fields = stat[stat.index(after: close)...].split(separator: " ")
        guard fields.count > 19, let ticks = Int64(fields[11]), let system = Int64(fields[12]), let start = Int64(fields[19])
        else { return nil }
        let seconds = (ticks + system) / 100
        let started = now - uptime + start / 100
        let age = max(1, now - started)
        let arguments = text("/proc/\(pid)/cmdline").split(separator: "\0", omittingEmptySubsequences: true)
        let name = stat[stat.index(after: open)..<close]
        return [
            owner(pid), "\(pid)", "\(fields[1])", "\(seconds * 100 / age)", clock(started),
            terminal(Int64(fields[4]) ?? 0), "\(pad(seconds / 3600)):\(pad(seconds / 60 % 60)):\(pad(seconds % 60))",
            arguments.isEmpty ? "[\(name)]" : arguments.joined(separator: " "),
        ]
    }

    private static func owner(_ pid: Int32) -> String {
        for line in text("/proc/\(pid)/status").split(separator: "\n") where line.hasPrefix("Uid:") {
            let uid = line.split(whereSeparator: \.isWhitespace).dropFirst(2).first.map(String.init) ?? "0"
            return HostUsers.name(uid: uid)
        }
        return "?"
    }

    /// A pseudo terminal is `pts/N`, no terminal `?`.
    private static func terminal(_ device: Int64) -> String {
        let major = (device >> 8) & 0xFFF
        return (136...143).contains(major) ? "pts/\((device & 0xFF) | ((device >> 12) & 0xFFF00))" : "?"
    }

    private static func clock(_ seconds: Int64) -> String {
        String(Timestamp(seconds: seconds).description.dropFirst(11).prefix(5))
    }

    private static func pad(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }

    static func text(_ path: String) -> String {
        // The process is gone: an empty text has no fields.
        guard let file = try? OwnedFD.open(FilePath(path), .readOnly), let bytes = try? file.readAll(limit: 256 << 10) else { return "" }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Names of the host's users, for tables that people read.
enum HostUsers {
    static func name(uid: String) -> String {
        for line in ProcessTable.text("/etc/passwd").split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count > 2, fields[2] == uid { return String(fields[0]) }
        }
        return uid
    }
}
