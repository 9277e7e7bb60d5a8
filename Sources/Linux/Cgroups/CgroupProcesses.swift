import CLinux
import Glibc
import SystemPackage

extension Cgroup {
    /// The processes of the group and of all groups below it, without order.
    public func processes() throws(SystemError) -> [pid_t] {
        guard let directory = directory(.memory) ?? directories.first else { return [] }
        return try Self.processes(in: directory)
    }

    private static func processes(in directory: FilePath) throws(SystemError) -> [pid_t] {
        var found: [pid_t]
        do {
            found = try read(directory.appending("cgroup.procs")).split(separator: "\n").compactMap { pid_t($0) }
        } catch {
            // A group that was removed under our hands has none.
            if error.errno == .noSuchFileOrDirectory || error.errno == .operationNotSupportedByDevice { return [] }
            throw error
        }
        for child in subdirectories(of: directory) { found += try processes(in: child) }
        return found
    }

    /// Kills every process, also those that fork meanwhile. Returns when all have got the signal; `remove` waits for
    /// their end.
    public func killAll() throws(SystemError) {
        if case .two(let directory) = trees {
            do { return try Self.write("1", to: directory.appending("cgroup.kill")) } catch {
                // Kernels before 5.14 have no such file.
                if error.errno != .noSuchFileOrDirectory { throw error }
            }
        }
        var seen: Set<pid_t> = []
        for _ in 0..<100 {
            let fresh = try processes().filter { $0 > 0 && !seen.contains($0) }
            if fresh.isEmpty { break }
            for pid in fresh { kill(pid, SIGKILL) }
            seen.formUnion(fresh)
        }
        // A frozen process dies only after the thaw.
        if try isFrozen() { try thaw() }
    }

    /// Stops all processes where they are and waits, at most two seconds, until they stand still.
    public func freeze() throws(SystemError) {
        try setFrozen(true)
    }

    /// Lets frozen processes go on.
    public func thaw() throws(SystemError) {
        try setFrozen(false)
    }

    public func isFrozen() throws(SystemError) -> Bool {
        switch trees {
        case .one(let all):
            guard let directory = all[.freezer] else { return false }
            return try Self.read(directory.appending("freezer.state")) != "THAWED"
        case .two(let directory):
            return try Self.read(directory.appending("cgroup.freeze")) == "1"
        }
    }

    private func setFrozen(_ frozen: Bool) throws(SystemError) {
        let deadline = monotonicSeconds() + 2
        repeat {
            switch trees {
            case .one:
                let file = try file(.freezer, "freezer.state")
                let state = frozen ? "FROZEN" : "THAWED"
                // A process that forked meanwhile may have been missed, so the state is written again each time.
                try Self.write(state, to: file)
                if try Self.read(file) == state { return }
            case .two(let directory):
                try Self.write(frozen ? "1" : "0", to: directory.appending("cgroup.freeze"))
                let events = try Self.readTable(directory.appending("cgroup.events"))
                if events.first(where: { $0.name == "frozen" })?.value == (frozen ? 1 : 0) { return }
            }
            usleep(1000)
        } while monotonicSeconds() < deadline
        if frozen { try setFrozen(false) }
        throw SystemError(errno: .timedOut, call: frozen ? "freeze cgroup" : "thaw cgroup", subject: path)
    }

    /// How many of the group's processes the kernel killed because memory ran out.
    public func oomKillCount() throws(SystemError) -> UInt64 {
        let file =
            switch trees {
            case .one: try file(.memory, "memory.oom_control")
            case .two(let directory): directory.appending("memory.events")
            }
        return try Self.readTable(file).first { $0.name == "oom_kill" }?.value ?? 0
    }
}
