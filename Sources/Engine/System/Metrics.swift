import Blocking
import DockerAPI
import Linux
import SystemPackage

/// Numbers about the engine and its containers in Prometheus' text form. Those of the engine have the names that
/// Docker's have, those of containers the names that cAdvisor gives them.
struct Metrics {
    private struct Family {
        let name: String
        let kind: String
        let help: String
        var samples: [String] = []
    }

    private var families: [Family] = []
    private var places: [String: Int] = [:]

    mutating func add(_ name: String, _ kind: String, _ help: String, _ labels: [(String, String)] = [], _ value: Double) {
        let place =
            places[name]
            ?? {
                families.append(Family(name: name, kind: kind, help: help))
                places[name] = families.count - 1
                return families.count - 1
            }()
        let text = labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",")
        families[place].samples.append("\(name)\(text.isEmpty ? "" : "{\(text)}") \(Self.number(value))\n")
    }

    /// Families one after the other, as the format demands.
    var text: String {
        families.map { family in
            "# HELP \(family.name) \(family.help)\n# TYPE \(family.name) \(family.kind)\n" + family.samples.joined()
        }.joined()
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }

    private static func number(_ value: Double) -> String {
        if let whole = Int64(exactly: value) { return "\(whole)" }
        return "\(value)"
    }
}

extension ContainerEngine {
    /// `GET /metrics`.
    public func metrics() async throws -> String {
        var metrics = Metrics()
        let containers = await registry.all().sorted { $0.id < $1.id }
        var states = ["paused": 0, "running": 0, "stopped": 0]
        for container in containers {
            let state = await container.statusName
            states[state == "running" || state == "paused" ? state : "stopped", default: 0] += 1
        }
        await addEngine(&metrics, states)
        for container in containers { try await add(container, &metrics) }
        return metrics.text
    }

    private func addEngine(_ metrics: inout Metrics, _ states: [String: Int]) async {
        let host = context.host
        metrics.add(
            "engine_daemon_engine_info", "gauge", "The information related to the engine and the OS it is running on",
            [
                ("architecture", host.machine), ("daemon_id", identity), ("kernel", host.kernelRelease), ("os", host.operatingSystem),
                ("os_type", "linux"), ("version", Self.programVersion),
            ], 1)
        metrics.add("engine_daemon_engine_cpus_cpus", "gauge", "The number of cpus that the host system of the engine has", Double(host.processors))
        metrics.add(
            "engine_daemon_engine_memory_bytes", "gauge", "The number of bytes of memory that the host system of the engine has",
            Double(host.memoryBytes))
        for (state, count) in states.sorted(by: { $0.key < $1.key }) {
            metrics.add(
                "engine_daemon_container_states_containers", "gauge", "The count of containers in various states", [("state", state)], Double(count))
        }
        metrics.add("engine_daemon_events_total", "counter", "The number of events logged", Double(events.publishedCount))
        metrics.add("engine_daemon_events_subscribers_total", "gauge", "The number of current subscribers to events", Double(events.listenerCount))
        // Of the engine's own process; nothing where procfs does not tell.
        let pages = ProcessTable.text("/proc/self/statm").split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? 0
        metrics.add("process_resident_memory_bytes", "gauge", "Resident memory size in bytes", pages * 4096)
    }

    private func add(_ container: Container, _ metrics: inout Metrics) async throws {
        let (record, process) = await (container.record, container.phase.process)
        let labels = [("id", container.id), ("image", record.config.Image ?? ""), ("name", record.name)]
        metrics.add(
            "skiff_container_restarts_total", "counter", "How often the restart policy has started the container again", labels,
            Double(record.state.restartCount))
        guard process != nil else {
            metrics.add("skiff_container_exit_code", "gauge", "The code that the container has ended with", labels, Double(record.state.exitCode))
            return
        }
        if let started = Timestamp(rfc3339: record.state.startedAt) {
            metrics.add(
                "container_start_time_seconds", "gauge", "Start time of the container since unix epoch in seconds", labels, Double(started.seconds))
        }
        if let health = record.state.health {
            metrics.add(
                "skiff_container_healthy", "gauge", "1 when the health check has succeeded", labels, health.status == .healthy ? 1 : 0)
        }
        // One that ends while we look has no figures any more.
        guard let sample = try? await container.statistics(nil) else { return }
        ContainerMetrics(sample: sample, labels: labels).add(to: &metrics)
    }
}

extension Metrics {
    fileprivate mutating func add(_ name: String, _ kind: String, _ help: String, _ value: Double) {
        add(name, kind, help, [], value)
    }
}

/// What a container uses.
private struct ContainerMetrics {
    let sample: ContainerStatsResponse
    let labels: [(String, String)]

    func add(to metrics: inout Metrics) {
        addProcessor(&metrics)
        addMemory(&metrics)
        for (interface, counters) in (sample.networks ?? [:]).sorted(by: { $0.key < $1.key }) { add(interface, counters, &metrics) }
        for entry in sample.blkio_stats?.io_service_bytes_recursive ?? [] where entry.op == "read" || entry.op == "write" {
            let isRead = entry.op == "read"
            metrics.add(
                isRead ? "container_fs_reads_bytes_total" : "container_fs_writes_bytes_total", "counter",
                "Cumulative count of bytes \(isRead ? "read" : "written")", labels + [("device", "\(entry.major ?? 0):\(entry.minor ?? 0)")],
                Double(entry.value ?? 0))
        }
        metrics.add(
            "container_processes", "gauge", "Number of processes and threads of the container", labels, Double(sample.pids_stats?.current ?? 0))
    }

    private func addProcessor(_ metrics: inout Metrics) {
        func seconds(_ nanoseconds: UInt64?) -> Double { Double(nanoseconds ?? 0) / 1e9 }
        let usage = sample.cpu_stats?.cpu_usage
        metrics.add("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds", labels, seconds(usage?.total_usage))
        metrics.add(
            "container_cpu_user_seconds_total", "counter", "Cumulative user cpu time consumed in seconds", labels, seconds(usage?.usage_in_usermode))
        metrics.add(
            "container_cpu_system_seconds_total", "counter", "Cumulative system cpu time consumed in seconds", labels,
            seconds(usage?.usage_in_kernelmode))
        let throttling = sample.cpu_stats?.throttling_data
        metrics.add(
            "container_cpu_cfs_throttled_periods_total", "counter", "Number of throttled period intervals", labels,
            Double(throttling?.throttled_periods ?? 0))
        metrics.add(
            "container_cpu_cfs_throttled_seconds_total", "counter", "Total time duration the container has been throttled", labels,
            seconds(throttling?.throttled_time))
    }

    private func addMemory(_ metrics: inout Metrics) {
        let memory = sample.memory_stats
        let usage = memory?.usage ?? 0
        let inactive = memory?.stats?["total_inactive_file"] ?? memory?.stats?["inactive_file"] ?? 0
        metrics.add(
            "container_memory_usage_bytes", "gauge", "Current memory usage in bytes, including all memory regardless of when it was accessed", labels,
            Double(usage))
        metrics.add(
            "container_memory_working_set_bytes", "gauge", "Current working set in bytes", labels, Double(usage > inactive ? usage - inactive : 0))
        metrics.add("container_spec_memory_limit_bytes", "gauge", "Memory limit for the container", labels, Double(memory?.limit ?? 0))
    }

    private func add(_ interface: String, _ counters: ContainerStatsResponse.NetworkStats, _ metrics: inout Metrics) {
        let labels = labels + [("interface", interface)]
        let values: [(String, String, UInt64?)] = [
            ("receive_bytes", "bytes received", counters.rx_bytes), ("receive_packets", "packets received", counters.rx_packets),
            ("receive_errors", "errors encountered while receiving", counters.rx_errors),
            ("transmit_bytes", "bytes transmitted", counters.tx_bytes), ("transmit_packets", "packets transmitted", counters.tx_packets),
            ("transmit_errors", "errors encountered while transmitting", counters.tx_errors),
        ]
        for (name, what, value) in values {
            metrics.add("container_network_\(name)_total", "counter", "Cumulative count of \(what)", labels, Double(value ?? 0))
        }
    }
}
