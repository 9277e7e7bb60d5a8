import Blocking
import DockerAPI
import FoundationEssentials
import Linux
import SystemPackage

extension Container {
    /// `docker top`: the processes of the container's cgroup as the host sees them. Nothing of the container is run.
    ///
    /// The columns of `ps -ef` are read from procfs; other columns are the host's `ps`'s business.
    func top(arguments: String) async throws -> ContainerTopResponse {
        _ = try runningProcess()
        let path = ContainerSpec.cgroup(record.hostConfig, id)
        publish("top")
        let wanted = arguments.isEmpty ? "-ef" : arguments
        return try await blocking {
            let pids = try Cgroup.open(path: path).processes().sorted()
            if wanted == "-ef" { return ProcessTable.rows(pids) }
            throw EngineError(
                .notImplemented, "ps arguments other than -ef are not available in this version of Skiff")
        }
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
