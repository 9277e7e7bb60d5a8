import Linux
import OCI
import OCIRuntime
import SystemPackage

extension Commands {
    static let update = Command(
        name: "update", usage: "<container-id>", words: 1...1, text: "update container resource constraints",
        options: [
            .init("resources", "r", value: "FILE|-", "resources as JSON from a file or standard input; all other options are ignored then"),
            .init("blkio-weight", value: "N", "weight for disks, from 10 to 1000"),
            .init("cpu-period", value: "USEC", "CPU CFS period to be used for hardcapping"),
            .init("cpu-quota", value: "USEC", "CPU CFS hardcap limit"),
            .init("cpu-burst", value: "USEC", "CPU CFS hardcap burst limit"),
            .init("cpu-share", value: "N", "CPU shares (relative weight vs. other containers)"),
            .init("cpu-rt-period", value: "USEC", "CPU realtime period to be used for hardcapping"),
            .init("cpu-rt-runtime", value: "USEC", "CPU realtime hardcap limit"),
            .init("cpu-idle", value: "0|1", "1: only time that nobody else wants"),
            .init("cpuset-cpus", value: "LIST", "CPU(s) to use"),
            .init("cpuset-mems", value: "LIST", "memory node(s) to use"),
            .init("memory", value: "BYTES", "memory limit"),
            .init("memory-reservation", value: "BYTES", "memory reservation or soft limit"),
            .init("memory-swap", value: "BYTES", "total memory usage (memory + swap); -1 is unlimited swap"),
            .init("kernel-memory", value: "BYTES", "(obsoleted; ignored)"),
            .init("kernel-memory-tcp", value: "BYTES", "(obsoleted; ignored)"),
            .init("pids-limit", value: "N", "maximum number of pids allowed in the container"),
            .init("l3-cache-schema", value: "SCHEMA", "Intel RDT/CAT L3 cache schema"),
            .init("mem-bw-schema", value: "SCHEMA", "Intel RDT/MBA memory bandwidth schema"),
        ]
    ) { root, options in
        let id = options.rest[0]
        if let path = options["resources"] {
            let file = path == "-" ? try OwnedFD.duplicating(0) : try OwnedFD.open(FilePath(path), .readOnly)
            try root.update(id, resources: try JSONValue.parse(try file.readAll(limit: 1 << 20)))
        } else {
            try root.update(id, resources: try resources(options))
            try root.updateCache(id, l3: options["l3-cache-schema"], bandwidth: options["mem-bw-schema"])
        }
        return 0
    }

    /// The options as the object that `--resources` takes.
    static func resources(_ options: Options) throws -> JSONValue {
        func object(_ names: [(String, String)], _ read: (String) -> JSONValue?) throws -> [(String, JSONValue)] {
            try names.compactMap { option, member in
                guard let text = options[option], !text.isEmpty else { return nil }
                guard let value = read(text) else { throw RuntimeError("invalid value for \(option): \(text)") }
                return (member, value)
            }
        }
        let signed = { (text: String) in Int64(text).map { JSONValue.int($0) } }
        let unsigned = { (text: String) in Int64(text).flatMap { $0 < 0 ? nil : JSONValue.int($0) } }
        let cpu =
            try object(
                [("cpu-share", "shares"), ("cpu-period", "period"), ("cpu-burst", "burst"), ("cpu-rt-period", "realtimePeriod")], unsigned)
            + object([("cpu-quota", "quota"), ("cpu-rt-runtime", "realtimeRuntime"), ("cpu-idle", "idle")], signed)
            + object([("cpuset-cpus", "cpus"), ("cpuset-mems", "mems")]) { .string($0) }
        let memory = try object([("memory", "limit"), ("memory-reservation", "reservation"), ("memory-swap", "swap")]) { text in
            text == "-1" ? .int(-1) : Bytes.parse(text).map { .int($0) }
        }
        let pids = try object([("pids-limit", "limit")], signed)
        let disks = try object([("blkio-weight", "weight")], unsigned)
        let all: [(String, [(String, JSONValue)])] = [("cpu", cpu), ("memory", memory), ("pids", pids), ("blockIO", disks)]
        return .object(all.filter { !$0.1.isEmpty }.map { ($0.0, .object($0.1)) })
    }
}

/// Amounts of memory as Docker reads them: `512`, `64m`, `1.5 GiB`.
enum Bytes {
    static func parse(_ text: String) -> Int64? {
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        var unit = text.dropFirst(number.count).lowercased()[...]
        if unit.hasPrefix(" ") { unit = unit.dropFirst() }
        if unit.hasSuffix("ib") { unit = unit.dropLast(2) } else if unit.hasSuffix("b") { unit = unit.dropLast() }
        let shifts: [Substring: Double] = ["": 1, "k": 1024, "m": 1_048_576, "g": 1_073_741_824, "t": 1_099_511_627_776, "p": 1_125_899_906_842_624]
        guard let value = Double(number), let factor = shifts[unit] else { return nil }
        return Int64(exactly: (value * factor).rounded(.towardZero))
    }
}
