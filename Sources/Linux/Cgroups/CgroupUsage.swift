import CLinux
import Glibc
import SystemPackage

/// What a cgroup has used beyond `CgroupStatistics`, as far as the kernel of this machine tells. What it does not is absent.
public struct CgroupUsage: Sendable, Equatable {
    /// An amount of one kind of memory in bytes.
    public struct Amount: Sendable, Equatable {
        /// `UInt64.max` is no limit.
        public var limit: UInt64 = 0
        public var usage: UInt64 = 0
        public var maximum: UInt64 = 0
        /// How often the limit was hit.
        public var failures: UInt64 = 0

        public init(limit: UInt64 = 0, usage: UInt64 = 0, maximum: UInt64 = 0, failures: UInt64 = 0) {
            self.limit = limit
            self.usage = usage
            self.maximum = maximum
            self.failures = failures
        }
    }

    /// What went to or came from a device.
    public struct Transfer: Sendable, Equatable {
        public var major: UInt64
        public var minor: UInt64
        /// `Read`, `Write`, `Discard` and what else the kernel counts.
        public var operation: String
        public var value: UInt64
    }

    /// How much of the time processes had to wait for something: a line of a pressure file.
    public struct Pressure: Sendable, Equatable {
        /// `some` or `full`
        public var kind: String
        public var average10 = 0.0
        public var average60 = 0.0
        public var average300 = 0.0
        /// Microseconds.
        public var total: UInt64 = 0
    }

    public var cpus = ""
    public var memoryNodes = ""
    public var cache: UInt64 = 0
    public var swap = Amount()
    public var kernel = Amount()
    public var kernelTCP = Amount()
    public var bytesTransferred: [Transfer] = []
    public var operations: [Transfer] = []
    /// By the size of the pages: `2MB`.
    public var hugepages: [(size: String, amount: Amount)] = []
    public var processorPressure: [Pressure] = []
    public var memoryPressure: [Pressure] = []
    public var transferPressure: [Pressure] = []

    public static func == (left: CgroupUsage, right: CgroupUsage) -> Bool {
        left.swap == right.swap && left.kernel == right.kernel && left.bytesTransferred == right.bytesTransferred
            && left.operations == right.operations && left.hugepages.elementsEqual(right.hugepages, by: ==)
    }
}

extension Cgroup {
    /// Reads all figures; they are of slightly different moments.
    public func usage() -> CgroupUsage {
        switch trees {
        case .one: usageOne()
        case .two(let directory): Self.usageTwo(directory)
        }
    }

    // A file that is not there or cannot be read is a figure that the kernel does not tell.

    private static func text(_ directory: FilePath?, _ name: String) -> String {
        directory.flatMap { try? read($0.appending(name)) } ?? ""
    }

    private static func number(_ directory: FilePath?, _ name: String) -> UInt64 {
        let text = text(directory, name)
        return text == "max" ? .max : UInt64(text) ?? 0
    }

    private func usageOne() -> CgroupUsage {
        var result = CgroupUsage()
        let memory = directory(.memory)
        func amount(_ kind: String) -> CgroupUsage.Amount {
            CgroupUsage.Amount(
                limit: Self.number(memory, "memory.\(kind)limit_in_bytes"), usage: Self.number(memory, "memory.\(kind)usage_in_bytes"),
                maximum: Self.number(memory, "memory.\(kind)max_usage_in_bytes"), failures: Self.number(memory, "memory.\(kind)failcnt"))
        }
        result.swap = amount("memsw.")
        result.kernel = amount("kmem.")
        result.kernelTCP = amount("kmem.tcp.")
        result.cpus = Self.text(directory(.cpuset), "cpuset.cpus")
        result.memoryNodes = Self.text(directory(.cpuset), "cpuset.mems")
        result.bytesTransferred = transfersOne("blkio.throttle.io_service_bytes_recursive")
        result.operations = transfersOne("blkio.throttle.io_serviced_recursive")
        result.hugepages = Self.hugepageSizes().map { size in
            let group = directory(.hugetlb)
            return (
                size,
                CgroupUsage.Amount(
                    usage: Self.number(group, "hugetlb.\(size).usage_in_bytes"), maximum: Self.number(group, "hugetlb.\(size).max_usage_in_bytes"),
                    failures: Self.number(group, "hugetlb.\(size).failcnt"))
            )
        }
        return result
    }

    /// `8:0 Read 4096`
    private func transfersOne(_ name: String) -> [CgroupUsage.Transfer] {
        Self.text(directory(.blkio), name).split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count == 3, let device = Self.device(words[0]), let value = UInt64(words[2]) else { return nil }
            return CgroupUsage.Transfer(major: device.major, minor: device.minor, operation: String(words[1]), value: value)
        }
    }

    private static func device(_ text: Substring) -> (major: UInt64, minor: UInt64)? {
        let numbers = text.split(separator: ":").compactMap { UInt64($0) }
        return numbers.count == 2 ? (numbers[0], numbers[1]) : nil
    }

    private static func usageTwo(_ directory: FilePath) -> CgroupUsage {
        var result = CgroupUsage()
        result.cpus = text(directory, "cpuset.cpus")
        result.memoryNodes = text(directory, "cpuset.mems")
        result.swap = CgroupUsage.Amount(
            limit: number(directory, "memory.swap.max"), usage: number(directory, "memory.swap.current"),
            maximum: number(directory, "memory.swap.peak"))
        readTransfersTwo(directory, &result)
        result.hugepages = hugepageSizes().map { size in
            let events = text(directory, "hugetlb.\(size).events").split(separator: " ").last.flatMap { UInt64($0) }
            return (size, CgroupUsage.Amount(usage: number(directory, "hugetlb.\(size).current"), failures: events ?? 0))
        }
        result.processorPressure = pressure(directory, "cpu.pressure")
        result.memoryPressure = pressure(directory, "memory.pressure")
        result.transferPressure = pressure(directory, "io.pressure")
        return result
    }

    /// `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`
    private static func readTransfersTwo(_ directory: FilePath, _ result: inout CgroupUsage) {
        let names = ["rbytes": "Read", "wbytes": "Write", "dbytes": "Discard", "rios": "Read", "wios": "Write", "dios": "Discard"]
        for line in text(directory, "io.stat").split(separator: "\n") {
            let words = line.split(separator: " ")
            guard let first = words.first, let device = device(first) else { continue }
            for word in words.dropFirst() {
                let pair = word.split(separator: "=")
                guard pair.count == 2, let operation = names[String(pair[0])], let value = UInt64(pair[1]) else { continue }
                let transfer = CgroupUsage.Transfer(major: device.major, minor: device.minor, operation: operation, value: value)
                if pair[0].hasSuffix("bytes") { result.bytesTransferred.append(transfer) } else { result.operations.append(transfer) }
            }
        }
    }

    /// The sizes that the kernel has, in its own words for cgroups: `hugepages-2048kB` is `2MB`.
    private static func hugepageSizes() -> [String] {
        subdirectories(of: "/sys/kernel/mm/hugepages").compactMap { path in
            guard let name = path.lastComponent?.string, name.hasPrefix("hugepages-"), name.hasSuffix("kB"),
                let kilobytes = UInt64(name.dropFirst(10).dropLast(2))
            else { return nil }
            if kilobytes >= 1 << 20 { return "\(kilobytes >> 20)GB" }
            return kilobytes >= 1 << 10 ? "\(kilobytes >> 10)MB" : "\(kilobytes)KB"
        }.sorted()
    }

    /// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`
    private static func pressure(_ directory: FilePath, _ name: String) -> [CgroupUsage.Pressure] {
        text(directory, name).split(separator: "\n").map { line in
            let words = line.split(separator: " ")
            var pressure = CgroupUsage.Pressure(kind: String(words.first ?? ""))
            for word in words.dropFirst() {
                let pair = word.split(separator: "=")
                guard pair.count == 2 else { continue }
                switch pair[0] {
                case "avg10": pressure.average10 = Double(pair[1]) ?? 0
                case "avg60": pressure.average60 = Double(pair[1]) ?? 0
                case "avg300": pressure.average300 = Double(pair[1]) ?? 0
                case "total": pressure.total = UInt64(pair[1]) ?? 0
                default: break
                }
            }
            return pressure
        }
    }
}

/// Tells when memory of a cgroup has run out and the kernel had to kill, and when the group is gone.
public struct MemoryAlarm: ~Copyable {
    /// Readable when something may have happened: an eventfd of version 1, an inotify of version 2.
    private let descriptor: OwnedFD
    private let cgroup: Cgroup
    private var heard: UInt64

    public init(_ cgroup: Cgroup) throws(SystemError) {
        let before = try cgroup.oomKillCount()
        let source = try Self.open(cgroup)
        descriptor = source
        heard = before
        self.cgroup = cgroup
    }

    private static func open(_ cgroup: Cgroup) throws(SystemError) -> OwnedFD {
        guard case .two(let directory) = cgroup.trees else {
            let event = OwnedFD(adopting: try check("eventfd") { eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)) })
            let control = try OwnedFD.open(try cgroup.file(.memory, "memory.oom_control"), .readOnly)
            try Cgroup.write("\(event.raw) \(control.raw)", to: try cgroup.file(.memory, "cgroup.event_control"))
            return event
        }
        let watch = OwnedFD(adopting: try check("inotify_init1") { inotify_init1(Int32(IN_CLOEXEC) | Int32(IN_NONBLOCK)) })
        let raw = watch.raw
        let file = directory.appending("memory.events")
        try check("inotify_add_watch", file.string) {
            file.withPlatformString { inotify_add_watch(raw, $0, UInt32(IN_MODIFY) | UInt32(IN_DELETE_SELF)) }
        }
        return watch
    }

    /// The number to wait for with epoll.
    public var raw: Int32 { descriptor.raw }

    /// How often the kernel has killed since the last question.
    public mutating func count() -> UInt64 {
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { buffer in
            // Only to be quiet until the next time; the count says what there is to say.
            while let count = try? descriptor.read(into: buffer), count == buffer.count {}
        }
        // A group that is gone has told all it had.
        guard let total = try? cgroup.oomKillCount(), total > heard else { return 0 }
        defer { heard = total }
        return total - heard
    }
}
