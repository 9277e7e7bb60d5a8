extension RuntimeSpec {
    /// How the processor is given to a process: the words of sched_setattr(2), `SCHED_OTHER` and so on.
    public struct Scheduler: Sendable, Equatable {
        public var policy: String
        public var nice: Int64?
        public var priority: Int64?
        /// `SCHED_FLAG_…`
        public var flags: [String]
        /// Nanoseconds; these three are for `SCHED_DEADLINE` alone.
        public var runtime: UInt64?
        public var deadline: UInt64?
        public var period: UInt64?

        public init(
            policy: String, nice: Int64? = nil, priority: Int64? = nil, flags: [String] = [], runtime: UInt64? = nil,
            deadline: UInt64? = nil, period: UInt64? = nil
        ) {
            self.policy = policy
            self.nice = nice
            self.priority = priority
            self.flags = flags
            self.runtime = runtime
            self.deadline = deadline
            self.period = period
        }
    }

    /// How the disks are given to a process: `IOPRIO_CLASS_…` and 0 (first) to 7.
    public struct IOPriority: Sendable, Equatable {
        public var type: String
        public var priority: Int64

        public init(type: String, priority: Int64) {
            self.type = type
            self.priority = priority
        }
    }

    /// Processors as in `0-3,7`: before and after the process has joined the container's cgroup.
    public struct ExecCPUAffinity: Sendable, Equatable {
        public var initial: String?
        public var final: String?

        public init(initial: String? = nil, final: String? = nil) {
            self.initial = initial
            self.final = final
        }
    }
}

extension RuntimeSpec.Scheduler {
    init(reader: JSONReader) throws(JSONError) {
        policy = try reader.required("policy", try reader.string("policy"))
        nice = try reader.int("nice")
        priority = try reader.int("priority")
        flags = try reader.strings("flags")
        runtime = try reader.unsigned("runtime")
        deadline = try reader.unsigned("deadline")
        period = try reader.unsigned("period")
    }

    func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("policy", policy)
        writer.add("nice", nice)
        writer.add("priority", priority)
        writer.add("flags", flags)
        writer.add("runtime", runtime)
        writer.add("deadline", deadline)
        writer.add("period", period)
        return writer.value
    }
}

extension RuntimeSpec.IOPriority {
    init(reader: JSONReader) throws(JSONError) {
        type = try reader.required("class", try reader.string("class"))
        priority = try reader.int("priority") ?? 0
    }

    func json() -> JSONValue { .object([("class", .string(type)), ("priority", .int(priority))]) }
}

extension RuntimeSpec.ExecCPUAffinity {
    init(reader: JSONReader) throws(JSONError) {
        initial = try reader.string("initial")
        final = try reader.string("final")
    }

    func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("initial", initial)
        writer.add("final", final)
        return writer.value
    }
}
