import Linux
import SystemPackage

/// What the engine needs to know about the machine; read once at start.
struct HostFacts: Sendable {
    let kernelRelease: String
    let hostname: String
    let operatingSystem: String
    let processors: Int
    /// Those that are online, and the memory nodes, as the kernel lists them.
    let processorList: String
    let memoryNodeList: String
    let memoryBytes: Int64
    /// The kernel's version for the seccomp profile's conditions.
    let kernelVersion: (major: Int, minor: Int)
    /// `amd64`, as images call it.
    let architecture: String
    /// `x86_64`, as the kernel calls it.
    let machine: String

    static func read() throws -> HostFacts {
        let name = SystemName.current()
        let numbers = name.release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
        return HostFacts(
            kernelRelease: name.release, hostname: name.hostname, operatingSystem: prettyName(),
            processors: SystemName.onlineProcessors(), processorList: online("cpu"), memoryNodeList: online("node"), memoryBytes: memoryTotal(),
            kernelVersion: (numbers.first ?? 0, numbers.dropFirst().first ?? 0),
            architecture: name.machine == "x86_64" ? "amd64" : name.machine == "aarch64" ? "arm64" : name.machine,
            machine: name.machine)
    }

    /// A kernel without the list has one of the kind.
    private static func online(_ kind: String) -> String {
        lines(FilePath("/sys/devices/system/\(kind)/online")).first.map(String.init) ?? "0"
    }

    private static func prettyName() -> String {
        for line in lines("/etc/os-release") where line.hasPrefix("PRETTY_NAME=") {
            return line.dropFirst(12).trimmingQuotes()
        }
        return "Linux"
    }

    private static func memoryTotal() -> Int64 {
        for line in lines("/proc/meminfo") where line.hasPrefix("MemTotal:") {
            let digits = line.filter(\.isNumber)
            return (Int64(digits) ?? 0) * 1024
        }
        return 0
    }

    /// Empty where the file is missing: these facts are for people to read.
    private static func lines(_ path: FilePath) -> [Substring] {
        guard let file = try? OwnedFD.open(path, .readOnly), let bytes = try? file.readAll(limit: 64 << 10) else { return [] }  // See above.
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    }
}

extension Substring {
    fileprivate func trimmingQuotes() -> String {
        String(drop { $0 == "\"" }.reversed().drop { $0 == "\"" }.reversed())
    }
}
