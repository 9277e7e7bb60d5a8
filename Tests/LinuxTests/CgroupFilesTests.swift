import Glibc
import SystemPackage
import Testing

@testable import Linux

/// What is written to the files of a group. The files are ordinary ones here, so that both versions can be tried on any
/// machine; that the kernel takes such texts is tried elsewhere.
@Suite("Limits as the kernel's files get them")
struct CgroupFilesTests {
    private func with(_ names: [String], _ body: (FilePath) throws -> Void) throws {
        let directory = FilePath("/tmp/skiff-cgroup-\(UInt64.random(in: .min ... .max))")
        try makeDirectories(directory)
        defer { try? removeTree(directory) }  // A left-over in the temporary directory does no harm.
        for name in names { try writeAtomically([], to: directory.appending(name), sync: false) }
        try body(directory)
    }

    private func text(_ directory: FilePath, _ name: String) throws -> String {
        String(decoding: try OwnedFD.open(directory.appending(name), .readOnly).readAll(limit: 4096), as: UTF8.self)
    }

    private func two(_ directory: FilePath) -> Cgroup { Cgroup(path: "/box", trees: .two(directory)) }

    private func one(_ directory: FilePath) -> Cgroup {
        let all = CgroupController.allCases.map { ControllerDirectories.Entry(controller: $0, directory: directory) }
        return Cgroup(path: "/box", trees: .one(ControllerDirectories(all)))
    }

    private static let filesOfTwo = [
        "memory.max", "memory.swap.max", "memory.low", "memory.current", "cpu.weight", "cpu.max", "cpu.max.burst", "cpu.idle",
        "cpuset.cpus", "cpuset.mems", "pids.max", "io.weight", "io.max", "hugetlb.2MB.max", "hugetlb.2MB.rsvd.max", "rdma.max",
        "memory.high",
    ]

    @Test("version 2: every limit in its own words")
    func everyLimitOfTwo() throws {
        try with(Self.filesOfTwo) { directory in
            var limits = Cgroup.Resources(
                memoryLimit: 1000, memoryReservation: 500, memorySwap: 1800, cpuShares: 1024, cpuQuota: 5000, cpuPeriod: 10_000, cpus: "0-1",
                memoryNodes: "0", pidsLimit: 7)
            limits.cpuBurst = 300
            limits.cpuIdle = 0
            limits.blockIO.weight = 500
            limits.blockIO.readBytes = [.init(major: 8, minor: 1, value: 99)]
            limits.hugepages = [.init(pageSize: "2MB", limit: 4096)]
            limits.rdma = [.init(device: "mlx5_1", handles: 3, objects: 10)]
            limits.unified = ["memory.high": "700"]
            try two(directory).apply(limits)
            let expected = [
                "memory.max": "1000", "memory.swap.max": "800", "memory.low": "500", "cpu.weight": "100", "cpu.max": "5000 10000",
                "cpu.max.burst": "300", "cpu.idle": "0", "cpuset.cpus": "0-1", "cpuset.mems": "0", "pids.max": "7", "io.weight": "4950",
                "io.max": "8:1 rbps=99", "hugetlb.2MB.max": "4096", "hugetlb.2MB.rsvd.max": "4096",
                "rdma.max": "mlx5_1 hca_handle=3 hca_object=10", "memory.high": "700",
            ]
            for (name, value) in expected { #expect(try text(directory, name) == value, "\(name)") }
        }
    }

    @Test("version 2: -1 is no limit, and no limit of memory is none of swap either")
    func unlimitedTwo() throws {
        try with(Self.filesOfTwo) { directory in
            var limits = Cgroup.Resources(memoryLimit: -1, memoryReservation: -1, cpuQuota: -1, pidsLimit: -1)
            limits.hugepages = [.init(pageSize: "2MB", limit: -1)]
            limits.blockIO.writeOperations = [.init(major: 8, minor: 0, value: 0)]
            try two(directory).apply(limits)
            for name in ["memory.max", "memory.swap.max", "memory.low", "cpu.max", "pids.max", "hugetlb.2MB.max"] {
                #expect(try text(directory, name) == "max", "\(name)")
            }
            #expect(try text(directory, "io.max") == "8:0 wiops=max")
        }
    }

    @Test("version 2: swap is what memory and swap together leave of memory")
    func swap() throws {
        func swap(_ limit: Int64?, _ swap: Int64?) throws -> Int64? { try Cgroup.swapTwo(.init(memoryLimit: limit, memorySwap: swap)) }
        #expect(try swap(100, 300) == 200 && swap(100, 100) == 0 && swap(100, -1) == -1 && swap(nil, -1) == -1)
        #expect(try swap(100, nil) == nil && swap(100, 0) == nil && swap(-1, nil) == -1 && swap(nil, nil) == nil)
        #expect(throws: SystemError.self) { try swap(nil, 300) }
        #expect(throws: SystemError.self) { try swap(-1, 300) }
        #expect(throws: SystemError.self) { try swap(300, 100) }
    }

    @Test("version 2: without swap accounting no swap is no error, a limit of it is")
    func withoutSwap() throws {
        try with(Self.filesOfTwo.filter { $0 != "memory.swap.max" }) { directory in
            try two(directory).apply(.init(memoryLimit: 100, memorySwap: 100))
            try two(directory).apply(.init(memorySwap: -1))
            #expect(throws: SystemError.self) { try two(directory).apply(.init(memoryLimit: 100, memorySwap: 200)) }
        }
    }

    @Test("version 2: a limit below what is in use is refused where that is asked for")
    func usage() throws {
        try with(Self.filesOfTwo) { directory in
            try writeAtomically(Array("5000\n".utf8), to: directory.appending("memory.current"), sync: false)
            var limits = Cgroup.Resources(memoryLimit: 4000)
            try two(directory).apply(limits)
            limits.checksUsage = true
            let error = #expect(throws: SystemError.self) { try two(directory).apply(limits) }
            #expect(error?.description.hasPrefix("rejecting memory limit 4000 <= usage 5000") == true)
            limits.memoryLimit = 6000
            try two(directory).apply(limits)
        }
    }

    @Test("version 2: what only version 1 knows is refused by name")
    func foreignToTwo() throws {
        try with(Self.filesOfTwo) { directory in
            func refuses(_ change: (inout Cgroup.Resources) -> Void) {
                var limits = Cgroup.Resources()
                change(&limits)
                #expect(throws: SystemError.self) { try two(directory).apply(limits) }
            }
            refuses { $0.memorySwappiness = 10 }
            refuses { $0.disableOOMKiller = true }
            refuses { $0.kernelTCPMemory = 10 }
            refuses { $0.kernelMemory = 10 }
            refuses { $0.realtimeRuntime = 10 }
            refuses { $0.networkClass = 1 }
            refuses { $0.networkPriorities = [.init(interface: "lo", priority: 1)] }
            refuses { $0.blockIO.leafWeight = 10 }
            for name in ["../x", "cgroup", "a/b.c", "..", "no.such.file"] { refuses { $0.unified = [name: "1"] } }
        }
    }

    @Test("version 2: the disk scheduler that keeps weights gets them as they are")
    func diskWeights() throws {
        try with(["io.bfq.weight", "io.max"]) { directory in
            var limits = Cgroup.Resources()
            limits.blockIO.weight = 300
            try two(directory).apply(limits)
            #expect(try text(directory, "io.bfq.weight") == "300")
        }
        #expect([10, 500, 1000].map(Cgroup.weight(blockIO:)) == [1, 4950, 10_000])
    }

    @Test("version 1: every limit in its own words")
    func everyLimitOfOne() throws {
        let names = [
            "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.soft_limit_in_bytes", "memory.kmem.tcp.limit_in_bytes",
            "memory.swappiness", "memory.oom_control", "cpu.shares", "cpu.rt_period_us", "cpu.rt_runtime_us", "cpu.cfs_quota_us",
            "cpu.cfs_period_us", "cpu.cfs_burst_us", "cpu.idle", "cpuset.cpus", "cpuset.mems", "pids.max", "blkio.weight",
            "blkio.leaf_weight", "blkio.weight_device", "blkio.leaf_weight_device", "blkio.throttle.read_bps_device",
            "blkio.throttle.write_bps_device", "blkio.throttle.read_iops_device", "blkio.throttle.write_iops_device",
            "hugetlb.1GB.limit_in_bytes", "rdma.max", "net_cls.classid", "net_prio.ifpriomap",
        ]
        try with(names) { directory in
            var limits = Cgroup.Resources(
                memoryLimit: 1000, memoryReservation: 500, memorySwap: 1800, memorySwappiness: 60, disableOOMKiller: true, cpuShares: 512,
                cpuQuota: 5000, cpuPeriod: 10_000, cpus: "0", memoryNodes: "0", pidsLimit: -1)
            limits.kernelTCPMemory = 77
            limits.cpuBurst = 300
            limits.cpuIdle = 1
            limits.realtimeRuntime = 10
            limits.realtimePeriod = 20
            let device = Cgroup.BlockIO.Device(major: 8, minor: 16, value: 42)
            limits.blockIO.weight = 500
            limits.blockIO.leafWeight = 400
            limits.blockIO.deviceWeights = [device]
            limits.blockIO.deviceLeafWeights = [device]
            limits.blockIO.readBytes = [device]
            limits.blockIO.writeBytes = [device]
            limits.blockIO.readOperations = [device]
            limits.blockIO.writeOperations = [device]
            limits.hugepages = [.init(pageSize: "1GB", limit: -1)]
            limits.rdma = [.init(device: "mlx5_1", handles: 3)]
            limits.networkClass = 1_048_577
            limits.networkPriorities = [.init(interface: "eth0", priority: 5)]
            try one(directory).apply(limits)
            let values = [
                "1000", "1800", "500", "77", "60", "1", "512", "20", "10", "5000", "10000", "300", "1", "0", "0", "max", "500", "400", "8:16 42",
                "8:16 42", "8:16 42", "8:16 42", "8:16 42", "8:16 42", "-1", "mlx5_1 hca_handle=3", "1048577", "eth0 5",
            ]
            for (name, value) in zip(names, values) { #expect(try text(directory, name) == value, "\(name)") }
            limits = .init()
            limits.unified = ["memory.high": "1"]
            #expect(throws: SystemError.self) { try one(directory).apply(limits) }
            limits.unified = [:]
            limits.hugepages = [.init(pageSize: "2/../../x", limit: 1)]
            #expect(throws: SystemError.self) { try one(directory).apply(limits) }
        }
    }

    @Test("groups are made in the hierarchies that their limits need, and in no others")
    func controllers() {
        var limits = Cgroup.Resources()
        #expect([.blkio, .hugetlb, .rdma, .networkClass, .networkPriority, .cpuset].allSatisfy { !limits.wants($0) })
        #expect([.cpu, .memory, .pids, .devices, .freezer].allSatisfy { limits.wants($0) })
        limits.blockIO.readBytes = [.init(major: 8, minor: 0, value: 1)]
        limits.networkClass = 7
        #expect(limits.wants(.blkio) && limits.wants(.networkClass) && !limits.wants(.networkPriority))
    }
}
