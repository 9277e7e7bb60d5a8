import Blocking
public import DockerAPI
import Linux

extension ContainerEngine {
    public typealias StatisticsSender = @Sendable (ContainerStatsResponse) async throws -> Void

    /// `docker stats`: a sample a second, or one.
    public func containerStatistics(_ name: String) async throws
        -> @Sendable (_ stream: Bool, _ oneShot: Bool, StatisticsSender) async throws -> Void
    {
        let container = try await registry.find(name)
        return { stream, oneShot, send in
            var previous: ContainerStatsResponse?
            while true {
                let sample = try await container.statistics(previous)
                // Without `one-shot` the first sample only gives the second something to compare with.
                if previous != nil || oneShot || stream { try await send(sample) }
                if !stream, previous != nil || oneShot { return }
                if case .removed = await container.phase { return }
                guard await container.phase.isLive || stream else { return }
                previous = sample
                try await Task.sleep(for: .seconds(1))
            }
        }
    }

    public func updateContainer(_ name: String, _ update: ContainerUpdateRequest) async throws -> ContainerUpdateResponse {
        let container = try await registry.find(name)
        var response = ContainerUpdateResponse()
        response.Warnings = try await owned { try await container.update(update) }
        return response
    }
}

extension Container {
    /// What the container has used so far. All zero when it does not run, as Docker answers.
    func statistics(_ previous: ContainerStatsResponse?) async throws -> ContainerStatsResponse {
        var response = ContainerStatsResponse()
        response.id = id
        response.name = "/" + record.name
        response.read = phase.isLive ? Timestamp.now().description : SavedState.never
        response.preread = previous?.read ?? SavedState.never
        response.precpu_stats = previous?.cpu_stats ?? ContainerStatsResponse.CPUStats()
        response.cpu_stats = ContainerStatsResponse.CPUStats()
        response.memory_stats = ContainerStatsResponse.MemoryStats()
        response.pids_stats = ContainerStatsResponse.PidsStats()
        response.blkio_stats = ContainerStatsResponse.BlkioStats()
        response.num_procs = 0
        guard let process = phase.process else { return response }
        let path = ContainerSpec.cgroup(record.hostConfig, id)
        let host = context.host
        let hasNetwork = !record.endpoints.isEmpty
        return try await blocking { [response] in
            var response = response
            let used = try Cgroup.open(path: path).statistics()
            StatisticsView(used: used, host: host).fill(&response)
            StatisticsView.fill(&response, transfers: try Cgroup.open(path: path).usage())
            if hasNetwork { response.networks = InterfaceCounters.read(pid: process.pid) }
            return response
        }
    }
}

/// The kernel's figures in Docker's form.
private struct StatisticsView {
    let used: CgroupStatistics
    let host: HostFacts

    func fill(_ response: inout ContainerStatsResponse) {
        var usage = ContainerStatsResponse.CPUUsage()
        usage.total_usage = used.processor.total
        usage.usage_in_usermode = used.processor.user
        usage.usage_in_kernelmode = used.processor.system
        if !used.isVersionTwo { usage.percpu_usage = used.processor.perProcessor }
        var throttling = ContainerStatsResponse.ThrottlingData()
        throttling.periods = used.processor.periods
        throttling.throttled_periods = used.processor.throttledPeriods
        throttling.throttled_time = used.processor.throttledTime
        response.cpu_stats?.cpu_usage = usage
        response.cpu_stats?.throttling_data = throttling
        response.cpu_stats?.system_cpu_usage = Self.systemUsage()
        response.cpu_stats?.online_cpus = UInt32(host.processors)
        response.memory_stats?.usage = used.memory.usage
        response.memory_stats?.limit = min(used.memory.limit ?? UInt64.max, UInt64(host.memoryBytes))
        response.memory_stats?.stats = used.memory.details
        if !used.isVersionTwo {
            response.memory_stats?.max_usage = used.memory.maximumUsage
            response.memory_stats?.failcnt = used.memory.failures
        }
        response.pids_stats?.current = used.processes.current
        response.pids_stats?.limit = used.processes.limit
    }

    /// Nothing where the kernel does not count for this container.
    static func fill(_ response: inout ContainerStatsResponse, transfers usage: CgroupUsage) {
        func entries(_ transfers: [CgroupUsage.Transfer]) -> [ContainerStatsResponse.BlkioStatEntry]? {
            guard !transfers.isEmpty else { return nil }
            return transfers.map { transfer in
                var entry = ContainerStatsResponse.BlkioStatEntry()
                entry.major = transfer.major
                entry.minor = transfer.minor
                entry.op = transfer.operation.lowercased()
                entry.value = transfer.value
                return entry
            }
        }
        response.blkio_stats?.io_service_bytes_recursive = entries(usage.bytesTransferred)
        response.blkio_stats?.io_serviced_recursive = entries(usage.operations)
    }

    /// Nanoseconds that all processors of the host have spent, from procfs's hundredths of a second.
    private static func systemUsage() -> UInt64 {
        let line = ProcessTable.text("/proc/stat").prefix { $0 != "\n" }
        return line.split(separator: " ").dropFirst().prefix(8).reduce(0) { $0 + (UInt64($1) ?? 0) } * 10_000_000
    }
}

/// Counters of a container's interfaces, as its own procfs shows them.
private enum InterfaceCounters {
    static func read(pid: Int32) -> [String: ContainerStatsResponse.NetworkStats] {
        var interfaces: [String: ContainerStatsResponse.NetworkStats] = [:]
        for line in ProcessTable.text("/proc/\(pid)/net/dev").split(separator: "\n").dropFirst(2) {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            let name = parts[0].filter { $0 != " " }
            let numbers = parts[1].split(separator: " ").map { UInt64($0) ?? 0 }
            guard name != "lo", numbers.count >= 12 else { continue }
            var counters = ContainerStatsResponse.NetworkStats()
            (counters.rx_bytes, counters.rx_packets, counters.rx_errors, counters.rx_dropped) = (numbers[0], numbers[1], numbers[2], numbers[3])
            (counters.tx_bytes, counters.tx_packets, counters.tx_errors, counters.tx_dropped) = (numbers[8], numbers[9], numbers[10], numbers[11])
            interfaces[name] = counters
        }
        return interfaces
    }
}
