import DockerAPI
import Linux

/// Why a container ended, as far as can be known.
struct ExitCause: Codable, Sendable, Equatable {
    enum Reason: String, Codable, Sendable {
        /// The process ended by itself.
        case exited
        case signal
        case outOfMemory = "oom"
        case notStarted = "not-started"
        case supervisorKilled = "supervisor-killed"
    }

    /// On whose behalf a signal was sent.
    enum Sender: String, Codable, Sendable {
        case stop
        case kill
        case remove = "rm"
        case unhealthy
        case kernel
    }

    var reason: Reason
    /// A sentence for people.
    var message: String
    var signal: Int32?
    var sender: Sender?
    var outOfMemory: OutOfMemoryReport?
    var memoryPeak: UInt64?
    var memoryLimit: UInt64?

    init(reason: Reason, message: String) {
        self.reason = reason
        self.message = message
    }

    /// `lastSignal` is what we have sent ourselves.
    init(_ exit: ExitRecord?, lastSignal: (signal: Signal, reason: Sender)?, outOfMemory: OutOfMemoryReport?) {
        guard let exit else {
            self.init(reason: .supervisorKilled, message: "the supervisor of the container was killed, and the container with it")
            return
        }
        let number = exit.signal.flatMap { $0 == 0 ? nil : $0 } ?? Self.signal(ofCode: exit.exitCode)
        self.init(reason: .exited, message: "exited with code \(exit.exitCode)")
        signal = exit.signal.flatMap { $0 == 0 ? nil : $0 }
        if exit.oomKilled == true {
            reason = signal == Signal.kill.rawValue || exit.exitCode == 137 ? .outOfMemory : signal == nil ? .exited : .signal
            self.outOfMemory = outOfMemory ?? OutOfMemoryReport()
        } else if signal != nil {
            reason = .signal
        }
        (memoryPeak, memoryLimit) = (exit.memoryPeak, exit.memoryLimit)
        if let lastSignal, lastSignal.signal.rawValue == number { sender = lastSignal.reason }
        if reason == .outOfMemory { sender = .kernel }
        message = sentence(exit)
    }

    /// A shell that lost its child to a signal says so by its code.
    private static func signal(ofCode code: Int32) -> Int32? { (129...192).contains(code) ? code - 128 : nil }

    private func sentence(_ exit: ExitRecord) -> String {
        switch reason {
        case .outOfMemory:
            let victim = outOfMemory?.process.map { "\($0) (pid \(outOfMemory?.pid ?? 0))" } ?? "a process"
            let limit =
                switch outOfMemory?.limit {
                case .host?: "the host ran out of memory"
                case .parent?: "the limit of a cgroup above was reached"
                case .container?, nil: "the memory limit" + (memoryLimit.map { " of \($0) bytes" } ?? "") + " was reached"
                }
            return "the kernel killed \(victim): \(limit)"
        case .signal:
            let name = signal.map { "\(Signal(rawValue: $0))" } ?? "a signal"
            return "killed by \(name)" + (sender.map { ", sent by \($0.rawValue)" } ?? "")
        default:
            let code = "exited with code \(exit.exitCode)"
            guard let sender, let last = Self.signal(ofCode: exit.exitCode) else { return code }
            return "\(code) after \(Signal(rawValue: last)), sent by \(sender.rawValue)"
        }
    }

    /// What the event `die` tells beyond Docker's.
    var eventAttributes: [String: String] {
        var attributes = ["exitReason": reason.rawValue]
        if let signal { attributes["signal"] = "\(signal)" }
        if let sender { attributes["sentBy"] = sender.rawValue }
        return attributes
    }

    var api: ContainerExitReason {
        var shown = ContainerExitReason()
        shown.Reason = reason.rawValue
        shown.Message = message
        shown.Signal = signal.map { "\(Signal(rawValue: $0))" }
        shown.SentBy = sender?.rawValue
        if let outOfMemory {
            var memory = ContainerExitReason.OutOfMemory()
            memory.Process = outOfMemory.process
            memory.Pid = outOfMemory.pid.map { Int($0) }
            memory.Limit = outOfMemory.limit?.rawValue
            memory.LimitBytes = memoryLimit
            memory.PeakBytes = memoryPeak
            shown.OutOfMemory = memory
        }
        return shown
    }
}

/// What the kernel's own log says about memory that ran out.
struct OutOfMemoryReport: Codable, Sendable, Equatable {
    enum Limit: String, Codable, Sendable {
        case container, parent, host
    }

    /// Whose limit it was.
    var limit: Limit?
    var process: String?
    var pid: Int32?

    /// The newest record about a cgroup; nil when there is none. Blocks for a moment.
    static func find(cgroup: String) throws -> OutOfMemoryReport? {
        try KernelLog.records().lazy.reversed().compactMap { OutOfMemoryReport($0, cgroup: cgroup) }.first
    }

    init() {}

    /// `oom-kill:constraint=CONSTRAINT_MEMCG,…,oom_memcg=/skiff/ID,task_memcg=/skiff/ID,task=dd,pid=42,uid=0`
    init?(_ record: String, cgroup: String) {
        guard record.hasPrefix("oom-kill:") else { return nil }
        var values: [Substring: Substring] = [:]
        for field in record.dropFirst("oom-kill:".count).split(separator: ",") {
            let parts = field.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { values[parts[0]] = parts[1] }
        }
        guard let own = values["task_memcg"], own == cgroup || own.hasPrefix(cgroup + "/") else { return nil }
        process = values["task"].map(String.init)
        pid = values["pid"].flatMap { Int32($0) }
        if let limited = values["oom_memcg"] {
            limit = limited == cgroup || limited.hasPrefix(cgroup + "/") ? .container : .parent
        } else {
            limit = .host
        }
    }
}
