import Linux
public import OCI
import SystemPackage

/// What `events` tells, a JSON object a line, with the members of runc's.
public struct ContainerEvents: ~Copyable {
    private let id: String
    private let cgroup: Cgroup
    private let process: OwnedFD

    init(_ root: RuntimeRoot, _ id: String) throws {
        let state = try root.load(id)
        guard root.status(state) != .stopped else { throw RuntimeError("container with id \(id) is not running") }
        let cgroup = try root.group(of: state)
        process = try openProcess(state.pid)
        self.cgroup = cgroup
        self.id = id
    }

    /// One look at the figures.
    public func statistics() throws -> JSONValue {
        .object([("type", "stats"), ("id", .string(id)), ("data", StatisticsJSON.make(try cgroup.statistics(), cgroup.usage()))])
    }

    /// Tells the figures after each interval and every kill for want of memory, until the container's first process ends.
    public func follow(milliseconds: Int64, _ tell: (JSONValue) throws -> Void) throws {
        let (end, memory): (UInt64, UInt64) = (0, 1)
        var alarm = try MemoryAlarm(cgroup)
        let epoll = try Epoll()
        try epoll.add(process.raw, .readable, token: end)
        try epoll.add(alarm.raw, .readable, token: memory)
        var next = monotonicMilliseconds() + milliseconds
        while true {
            let events = try epoll.wait(milliseconds: Int32(clamping: max(next - monotonicMilliseconds(), 0)))
            for _ in 0..<alarm.count() { try tell(.object([("type", "oom"), ("id", .string(id))])) }
            if events.contains(where: { $0.token == end }) { return }
            if monotonicMilliseconds() >= next {
                next += milliseconds
                try tell(try statistics())
            }
        }
    }
}

extension RuntimeRoot {
    /// `events`
    public func events(_ id: String) throws -> ContainerEvents {
        try ContainerEvents(self, id)
    }
}

/// The figures of a cgroup in the form of runc's `types.Stats`.
enum StatisticsJSON {
    static func make(_ statistics: CgroupStatistics, _ usage: CgroupUsage) -> JSONValue {
        [
            "cpu": processor(statistics.processor, usage),
            "cpuset": numbers([("cpus", usage.cpus), ("mems", usage.memoryNodes)]),
            "memory": memory(statistics, usage),
            "pids": object([("current", statistics.processes.current), ("limit", statistics.processes.limit ?? 0)]),
            "blkio": transfers(usage),
            "hugetlb": .object(usage.hugepages.map { ($0.size, amount($0.amount, hasLimit: false)) }),
            "intel_rdt": [:],
            "network_interfaces": .null,
        ]
    }

    private static func number(_ value: UInt64) -> JSONValue {
        Int64(exactly: value).map { .int($0) } ?? .unsigned(value)
    }

    /// Without what is zero, as Go's `omitempty` has it.
    private static func object(_ members: [(String, UInt64)], always: Set<String> = []) -> JSONValue {
        .object(members.filter { $0.1 != 0 || always.contains($0.0) }.map { ($0.0, number($0.1)) })
    }

    private static func processor(_ processor: CgroupStatistics.Processor, _ usage: CgroupUsage) -> JSONValue {
        var times: [(String, JSONValue)] = processor.total == 0 ? [] : [("total", number(processor.total))]
        if !processor.perProcessor.isEmpty { times.append(("percpu", .array(processor.perProcessor.map(number)))) }
        times += [("kernel", number(processor.system)), ("user", number(processor.user))]
        var members: [(String, JSONValue)] = [
            ("usage", .object(times)),
            (
                "throttling",
                object([
                    ("periods", processor.periods), ("throttledPeriods", processor.throttledPeriods), ("throttledTime", processor.throttledTime),
                ])
            ),
        ]
        addPressure(usage.processorPressure, to: &members)
        return .object(members)
    }

    /// `0-2,5` as the numbers themselves.
    private static func numbers(_ lists: [(String, String)]) -> JSONValue {
        .object(
            lists.map { name, list in
                var numbers: [JSONValue] = []
                for part in list.split(separator: ",") {
                    let ends = part.split(separator: "-").compactMap { Int64($0) }
                    guard let first = ends.first, let last = ends.last, first <= last, last < 65536 else { continue }
                    numbers += (first...last).map { .int($0) }
                }
                return (name, numbers.isEmpty ? .null : .array(numbers))
            })
    }

    private static func amount(_ amount: CgroupUsage.Amount, hasLimit: Bool = true) -> JSONValue {
        var members: [(String, JSONValue)] = hasLimit ? [("limit", number(amount.limit))] : []
        if amount.usage != 0 { members.append(("usage", number(amount.usage))) }
        if amount.maximum != 0 { members.append(("max", number(amount.maximum))) }
        return .object(members + [("failcnt", number(amount.failures))])
    }

    private static func memory(_ statistics: CgroupStatistics, _ usage: CgroupUsage) -> JSONValue {
        let memory = statistics.memory
        let cache = memory.details[statistics.isVersionTwo ? "file" : "cache"] ?? 0
        let all = CgroupUsage.Amount(
            limit: memory.limit ?? (statistics.isVersionTwo ? .max : UInt64(Int64.max) & ~0xFFF), usage: memory.usage,
            maximum: memory.maximumUsage, failures: memory.failures)
        var members: [(String, JSONValue)] = cache == 0 ? [] : [("cache", number(cache))]
        members += [
            ("usage", amount(all)), ("swap", amount(usage.swap)), ("kernel", amount(usage.kernel)), ("kernelTCP", amount(usage.kernelTCP)),
            ("raw", .object(memory.details.sorted { $0.key < $1.key }.map { ($0.key, number($0.value)) })),
        ]
        addPressure(usage.memoryPressure, to: &members)
        return .object(members)
    }

    private static func transfers(_ usage: CgroupUsage) -> JSONValue {
        func list(_ transfers: [CgroupUsage.Transfer]) -> JSONValue {
            .array(
                transfers.map { one in
                    .object([
                        ("major", number(one.major)), ("minor", number(one.minor)), ("op", .string(one.operation)), ("value", number(one.value)),
                    ])
                })
        }
        var members: [(String, JSONValue)] = []
        if !usage.bytesTransferred.isEmpty { members.append(("ioServiceBytesRecursive", list(usage.bytesTransferred))) }
        if !usage.operations.isEmpty { members.append(("ioServicedRecursive", list(usage.operations))) }
        addPressure(usage.transferPressure, to: &members)
        return .object(members)
    }

    private static func addPressure(_ lines: [CgroupUsage.Pressure], to members: inout [(String, JSONValue)]) {
        if lines.isEmpty { return }
        let kinds = lines.map { line -> (String, JSONValue) in
            let averages: [(String, JSONValue)] = [
                ("avg10", .double(line.average10)), ("avg60", .double(line.average60)), ("avg300", .double(line.average300)),
            ]
            return (line.kind, .object(averages + [("total", number(line.total))]))
        }
        members.append(("psi", .object(kinds)))
    }
}
