import DockerAPI
import EngineClient
import FoundationEssentials
import Linux

extension Command {
    static func stats() -> Command {
        let all = Flag<Bool>.toggle("all", short: "a", "Show stopped ones too")
        let format = Flag<String>.text("format", "table, json, or a template in Go's language")
        let noStream = Flag<Bool>.toggle("no-stream", "Show the first result and end")
        let noTrunc = Flag<Bool>.toggle("no-trunc", "Do not shorten anything")
        return Command(
            name: "stats", usage: "[OPTIONS] [CONTAINER...]", summary: "Show what containers use", arguments: .atLeast(0),
            flags: [all, format, noStream, noTrunc]
        ) { call in
            let sampling = StatsSampling(engine: call.program.engine, truncates: !call[noTrunc])
            repeat {
                var names = call.arguments
                if names.isEmpty {
                    names = try await call.program.engine.get(
                        [ContainerSummary].self,
                        EngineRequest(.get, "/containers/json", query: call[all] ? [("all", "1")] : [])
                    ).compactMap(\.Id)
                }
                let rows = try await sampling.rows(names)
                let text = try Listing(headers: StatsSampling.headers, rows: rows).render(
                    format: call.format(format, "statsFormat"), usual: StatsSampling.usual)
                let clears = !call[noStream] && StandardStream.output.isTerminal
                try call.program.write(clears ? "\u{1B}[H\u{1B}[J" + text : text)
            } while !call[noStream]
            return 0
        }
    }
}

/// One sample of every container, taken side by side; the engine answers after it has two readings.
private struct StatsSampling: Sendable {
    let engine: EngineClient
    let truncates: Bool

    static let headers = [
        "ID": "CONTAINER ID", "Container": "CONTAINER", "Name": "NAME", "CPUPerc": "CPU %", "MemUsage": "MEM USAGE / LIMIT",
        "MemPerc": "MEM %", "NetIO": "NET I/O", "BlockIO": "BLOCK I/O", "PIDs": "PIDS",
    ]
    static let usual =
        "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}"

    func rows(_ names: [String]) async throws -> [TemplateValue] {
        try await withThrowingTaskGroup(of: (Int, TemplateValue).self) { group in
            for (index, name) in names.enumerated() {
                group.addTask {
                    let request = EngineRequest(
                        .get, "/containers/\(EngineRequest.escaped(name))/stats", query: [("stream", "0")])
                    let sample = try await engine.get(ContainerStatsResponse.self, request)
                    return (index, row(sample, name))
                }
            }
            var rows: [(Int, TemplateValue)] = []
            for try await row in group { rows.append(row) }
            return rows.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    private func row(_ sample: ContainerStatsResponse, _ name: String) -> TemplateValue {
        let memory = Self.memory(sample)
        let limit = Double(sample.memory_stats?.limit ?? 0)
        let networks = (sample.networks ?? [:]).values
        let received = networks.reduce(0) { $0 + Int64($1.rx_bytes ?? 0) }
        let sent = networks.reduce(0) { $0 + Int64($1.tx_bytes ?? 0) }
        func blocks(_ operation: String) -> Int64 {
            (sample.blkio_stats?.io_service_bytes_recursive ?? []).filter { $0.op?.lowercased() == operation }
                .reduce(0) { $0 + Int64($1.value ?? 0) }
        }
        func pair(_ a: Int64, _ b: Int64) -> String { "\(HumanText.size(a, digits: 3)) / \(HumanText.size(b, digits: 3))" }
        let id = sample.id ?? name
        let plain = sample.name.map { $0.hasPrefix("/") ? String($0.dropFirst()) : $0 } ?? name
        let cells: [(String, String)] = [
            ("BlockIO", pair(blocks("read"), blocks("write"))), ("CPUPerc", HumanText.decimal(Self.processor(sample), places: 2) + "%"),
            ("Container", name), ("ID", truncates ? HumanText.shortID(id) : id),
            ("MemPerc", HumanText.decimal(limit > 0 ? memory / limit * 100 : 0, places: 2) + "%"),
            ("MemUsage", "\(HumanText.binarySize(memory)) / \(HumanText.binarySize(limit))"), ("Name", plain),
            ("NetIO", pair(received, sent)), ("PIDs", "\(sample.pids_stats?.current ?? 0)"),
        ]
        return .object(cells.map { ($0.0, .string($0.1)) })
    }

    /// Per cent of one processor between the two readings.
    private static func processor(_ sample: ContainerStatsResponse) -> Double {
        func used(_ stats: ContainerStatsResponse.CPUStats?) -> Double { Double(stats?.cpu_usage?.total_usage ?? 0) }
        func total(_ stats: ContainerStatsResponse.CPUStats?) -> Double { Double(stats?.system_cpu_usage ?? 0) }
        let delta = used(sample.cpu_stats) - used(sample.precpu_stats)
        let system = total(sample.cpu_stats) - total(sample.precpu_stats)
        guard delta > 0, system > 0 else { return 0 }
        let processors = sample.cpu_stats?.online_cpus.map { Double($0) } ?? Double(sample.cpu_stats?.cpu_usage?.percpu_usage?.count ?? 1)
        return delta / system * max(1, processors) * 100
    }

    /// Without the part of the page cache that the kernel can drop at any time.
    private static func memory(_ sample: ContainerStatsResponse) -> Double {
        let usage = sample.memory_stats?.usage ?? 0
        let stats = sample.memory_stats?.stats ?? [:]
        let cache = stats["total_inactive_file"] ?? stats["inactive_file"] ?? 0
        return Double(cache < usage ? usage - cache : usage)
    }
}
