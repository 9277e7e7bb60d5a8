import Glibc
import Linux
import OCI
import SystemPackage
import Testing

@Suite("Limits of a container", .enabled(if: getuid() == 0), .timeLimit(.minutes(1)))
struct ResourceTests {
    private static let isVersionTwo = (try? Cgroup.isVersionTwo()) ?? false

    /// Runs a container with the limits and reads files of its group: of version 1 by controller, of version 2 by name.
    private func values(_ runtime: TestBundle.Runtime, _ files: [String], _ change: (inout RuntimeSpec.Resources) -> Void) throws -> [String] {
        var values: [String] = []
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            var spec = bundle.spec()
            var resources = spec.linux.resources ?? .init()
            change(&resources)
            spec.linux.resources = resources
            spec.linux.cgroupsPath = "/\(bundle.id)"
            try bundle.startSleeping(spec)
            values = try files.map { name in
                let controller = name.split(separator: "/")[0]
                let path = "/sys/fs/cgroup/\(controller)/\(bundle.id)/\(name.split(separator: "/")[1])"
                let bytes = try OwnedFD.open(FilePath(path), .readOnly).readAll(limit: 4096)
                return String(decoding: bytes, as: UTF8.self).split(separator: "\n").joined(separator: ";")
            }
            try bundle.killAndDelete()
        }
        return values
    }

    @Test("version 1: memory, swap and what belongs to them", .enabled(if: !isVersionTwo), arguments: TestBundle.Runtime.installed)
    func memory(runtime: TestBundle.Runtime) throws {
        let values = try values(runtime, ["memory/memory.limit_in_bytes", "memory/memory.soft_limit_in_bytes", "memory/memory.swappiness"]) {
            $0.memory = .init(limit: 64 << 20, reservation: 32 << 20, swappiness: 10, useHierarchy: true, checkBeforeUpdate: true)
        }
        #expect(values == ["\(64 << 20)", "\(32 << 20)", "10"])
    }

    @Test("version 1: shares, quota and period", .enabled(if: !isVersionTwo), arguments: TestBundle.Runtime.installed)
    func processor(runtime: TestBundle.Runtime) throws {
        let values = try values(
            runtime, ["cpu/cpu.shares", "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us", "cpuset/cpuset.cpus", "cpuset/cpuset.mems"]
        ) {
            $0.cpu = .init(shares: 512, quota: 20_000, period: 50_000, cpus: "0", mems: "0")
        }
        #expect(values == ["512", "20000", "50000", "0", "0"])
    }

    @Test("version 1: burst, idle and real time", .enabled(if: access("/sys/fs/cgroup/cpu/cpu.cfs_burst_us", F_OK) == 0))
    func burst() throws {
        let values = try values(.skiff, ["cpu/cpu.cfs_burst_us", "cpu/cpu.rt_runtime_us"]) {
            $0.cpu = .init(quota: 20_000, period: 50_000, burst: 10_000, realtimeRuntime: 500, realtimePeriod: 500_000)
        }
        #expect(values == ["10000", "500"])
        #expect(try self.values(.skiff, ["cpu/cpu.idle"]) { $0.cpu = .init(idle: 1) } == ["1"])
    }

    @Test(
        "version 1: disks are throttled", .enabled(if: access("/sys/fs/cgroup/blkio/blkio.throttle.read_bps_device", F_OK) == 0),
        arguments: TestBundle.Runtime.installed)
    func disks(runtime: TestBundle.Runtime) throws {
        let disks = ["/dev/vda", "/dev/sda", "/dev/loop0"]
        guard let disk = disks.first(where: { (path: String) in access(path, F_OK) == 0 }) else { return }
        let node = try fstat(try OwnedFD.open(FilePath(disk), .path))
        let (major, minor) = (Int64(node.deviceMajor), Int64(node.deviceMinor))
        let values = try values(runtime, ["blkio/blkio.throttle.read_bps_device", "blkio/blkio.throttle.write_iops_device"]) {
            $0.blockIO = .init(
                throttleReadBpsDevice: [.init(major: major, minor: minor, rate: 1 << 20)],
                throttleWriteIOPSDevice: [.init(major: major, minor: minor, rate: 100)])
        }
        #expect(values == ["\(major):\(minor) \(1 << 20)", "\(major):\(minor) 100"])
    }

    @Test("limits that cannot be had stop the start and leave no group", arguments: TestBundle.Runtime.installed)
    func refused(runtime: TestBundle.Runtime) throws {
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            func refuses(_ change: (inout RuntimeSpec.Resources) -> Void) throws {
                var spec = bundle.spec("echo ran")
                var resources = spec.linux.resources ?? .init()
                change(&resources)
                spec.linux.resources = resources
                _ = try bundle.refusal(spec)
            }
            try refuses { $0.cpu = .init(cpus: "1000") }
            try refuses { $0.cpu = .init(quota: 1, period: 1) }
            try refuses { $0.cpu = .init(shares: 1 << 40) }
            try refuses { $0.hugepageLimits = [.init(pageSize: "3MB", limit: 1)] }
            if !Self.isVersionTwo { try refuses { $0.unified = ["memory.high": "1000000"] } }
            if runtime == .skiff {
                try refuses { $0.memory = .init(kernel: 1 << 20) }
                try refuses { $0.rdma = [.init(device: "no_such_device", hcaHandles: 1)] }
                try refuses { $0.blockIO = .init(throttleReadBpsDevice: [.init(major: -1, minor: 0, rate: 1)]) }
            }
        }
    }

    @Test("shares that the kernel cuts are told with what it allows", .enabled(if: !isVersionTwo))
    func shares() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec("echo ran")
            spec.linux.resources?.cpu = .init(shares: 1 << 30)
            #expect(try bundle.refusal(spec).contains("the maximum allowed cpu-shares is 262144"))
        }
    }

    @Test("an update changes limits of a running container and is refused below what is in use", .enabled(if: !isVersionTwo))
    func update() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec()
            spec.linux.cgroupsPath = "/\(bundle.id)"
            spec.linux.resources?.memory = .init(limit: 64 << 20)
            try bundle.startSleeping(spec)
            func update(_ text: String) throws -> TestBundle.Outcome {
                let file = try bundle.write(text, to: "resources.json")
                return try bundle.call(["update", "--resources", file.string, bundle.id])
            }
            #expect(try update(#"{"memory":{"limit":33554432},"pids":{"limit":20},"cpu":{"quota":30000,"period":60000,"burst":1000}}"#).code == 0)
            let path = FilePath("/sys/fs/cgroup/memory/\(bundle.id)/memory.limit_in_bytes")
            #expect(try OwnedFD.open(path, .readOnly).readAll(limit: 64) == Array("33554432\n".utf8))
            let refused = try update(#"{"memory":{"limit":4096}}"#)
            #expect(refused.code == 1 && refused.output.contains("unable to set memory limit to 4096 (current usage:"), "\(refused.output)")
            try bundle.killAndDelete()
        }
    }

    @Test("every process counts, also one that joins later, and nobody writes to the group from inside")
    func borders() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec()
            spec.linux.resources?.pids = .init(limit: 6)
            spec.process.capabilities = .init(bounding: ["CAP_SYS_ADMIN"], effective: ["CAP_SYS_ADMIN"], permitted: ["CAP_SYS_ADMIN"])
            try bundle.startSleeping(spec)
            let bomb = try bundle.call(["exec", bundle.id, "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done"])
            #expect(bomb.output.contains("can't fork"), "\(bomb.output)")
            let write = try bundle.call([
                "exec", bundle.id, "sh", "-c",
                "for f in $(busybox find /sys/fs/cgroup -name pids.max -o -name release_agent -o -name cgroup.procs -o -name memory.limit_in_bytes); do (echo 1 > $f) 2>/dev/null && echo wrote $f; done; true",
            ])
            #expect(!write.output.contains("wrote"), "\(write.output)")
        }
    }
}
