import Linux
import OCI
import OCIRuntime

extension Commands {
    static let list = Command(
        name: "list", usage: " ", words: 0...0, text: "lists containers started with the given root",
        options: [
            .init("format", "f", value: "table|json", "select one of: table (default) or json"),
            .init("quiet", "q", "display only container IDs"),
        ]
    ) { root, options in
        let ids = try root.ids()
        if options.has("quiet") {
            try StandardStream.output.write(ids.map { "\($0)\n" }.joined())
            return 0
        }
        // One that goes away while we look is not listed.
        let states = ids.compactMap { try? root.stateJSON($0) }
        switch options["format"] ?? "table" {
        case "table": try StandardStream.output.write(table(states))
        case "json": try StandardStream.output.write((states.isEmpty ? .null : JSONValue.array(states)).serialized() + [0x0A])
        default: throw RuntimeError("invalid format option")
        }
        return 0
    }

    /// Columns as Go's tabwriter makes them: at least twelve characters wide, three apart.
    static func table(_ states: [JSONValue]) -> String {
        let rows =
            [["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]]
            + states.map { state in
                [
                    state["id"]?.string ?? "", "\(state["pid"]?.integer ?? 0)", state["status"]?.string ?? "",
                    state["bundle"]?.string ?? "", state["created"]?.string ?? "", state["owner"]?.string ?? "",
                ]
            }
        let widths = (0..<5).map { column in max(12, (rows.map { $0[column].count }.max() ?? 0) + 3) }
        return rows.map { row in
            zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }.joined() + row[5] + "\n"
        }.joined()
    }

    static let processes = Command(
        name: "ps", usage: "<container-id> [ps options]", words: 1...Command.atMost,
        text: "displays the processes running inside a container",
        options: [.init("format", "f", value: "table|json", "select one of: table (default) or json")]
    ) { root, options in
        switch options["format"] ?? "table" {
        case "table": try StandardStream.output.write(try root.processTable(options.rest[0], arguments: Array(options.rest.dropFirst())))
        case "json":
            let pids = try root.processes(options.rest[0])
            try StandardStream.output.write(JSONValue.array(pids.map { .int(Int64($0)) }).serialized() + [0x0A])
        default: throw RuntimeError("invalid format option")
        }
        return 0
    }

    static let events = Command(
        name: "events", usage: "<container-id>", words: 1...1,
        text: "display container events such as OOM notifications, cpu, memory, and IO usage statistics",
        options: [
            .init("interval", value: "DURATION", "set the stats collection interval (default: 5s)"),
            .init("stats", "display the container's stats then exit"),
        ]
    ) { root, options in
        guard let interval = GoDuration.milliseconds(options["interval"] ?? "5s"), interval > 0 else {
            throw RuntimeError("duration interval must be greater than 0")
        }
        let events = try root.events(options.rest[0])
        let tell = { (event: JSONValue) throws in try StandardStream.output.write(event.serialized() + [0x0A]) }
        if options.has("stats") {
            try tell(try events.statistics())
        } else {
            try events.follow(milliseconds: interval, tell)
        }
        return 0
    }
}

/// Spans of time as Go writes them: `1h30m`, `1.5s`, `300ms`.
enum GoDuration {
    static func milliseconds(_ text: String) -> Int64? {
        let units: [(String, Double)] = [("ms", 1), ("us", 0.001), ("µs", 0.001), ("ns", 0.000001), ("h", 3_600_000), ("m", 60_000), ("s", 1000)]
        var rest = text[...]
        var total = 0.0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(number.count)
            guard let value = Double(number), let unit = units.first(where: { rest.hasPrefix($0.0) }) else { return nil }
            rest = rest.dropFirst(unit.0.count)
            total += value * unit.1
        }
        // Less than a millisecond is one.
        return total > 0 && total < 1e12 ? max(Int64(total), 1) : total == 0 ? 0 : nil
    }
}
