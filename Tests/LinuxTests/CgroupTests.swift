import Glibc
import SystemPackage
import Testing

@testable import Linux

@Suite("Cgroups")
struct CgroupTests {
    @Test("a machine with controllers in hierarchies of their own is version 1, whatever else is mounted")
    func hybridLayout() throws {
        let info = """
            30 1 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
            31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
            32 30 0:28 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
            33 30 0:29 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
            34 30 0:30 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
            """
        let layout = try CgroupLayout(mountInfo: Array(info.utf8))
        #expect(
            layout.version
                == .one(
                    ControllerDirectories([
                        .init(controller: .memory, directory: "/sys/fs/cgroup/memory"),
                        .init(controller: .cpu, directory: "/sys/fs/cgroup/cpu,cpuacct"),
                        .init(controller: .cpuacct, directory: "/sys/fs/cgroup/cpu,cpuacct"),
                    ])))
    }

    @Test("a machine with one tree is version 2")
    func unifiedLayout() throws {
        let info = "31 30 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
        #expect(try CgroupLayout(mountInfo: Array(info.utf8)).version == .two("/sys/fs/cgroup"))
        #expect(throws: SystemError.self) { try CgroupLayout(mountInfo: Array("1 2 0:1 / / rw - ext4 x rw\n".utf8)) }
    }

    @Test("what is not mounted where everybody mounts it is looked for among all mounts")
    func unusualPlaces() throws {
        for text in ["2:cpu,cpuacct:/a\n1:name=systemd:/\n0::/\n", "0::/\n", ""] {
            #expect(CgroupLayout(memberships: Array(text.utf8), below: "/dev") == nil)
        }
        let memberships = try OwnedFD.open("/proc/self/cgroup", .readOnly).readAll(limit: 1 << 20)
        let mounts = try OwnedFD.open("/proc/self/mountinfo", .readOnly).readAll(limit: 16 << 20)
        guard let usual = CgroupLayout(memberships: memberships, below: "/sys/fs/cgroup") else { return }
        #expect(try usual == CgroupLayout(mountInfo: mounts))
    }

    @Test("paths stay below the root of a hierarchy", arguments: ["/", "", "/a/../b", "/..", "a/./b", "/a\n"])
    func badPaths(path: String) {
        #expect(throws: SystemError.self) { try Cgroup.normalized(path) }
    }

    @Test("device rules are written as version 1 reads them")
    func deviceRules() {
        #expect(Cgroup.DeviceRule(allow: false).text == "a")
        #expect(Cgroup.DeviceRule(allow: true, kind: .character, major: 1, minor: 3).text == "c 1:3 rwm")
        #expect(Cgroup.DeviceRule(allow: true, kind: .block, major: 8, access: [.read, .makeNode]).text == "b 8:* rm")
    }

    @Test("device rules fold into a default and its exceptions")
    func deviceFilter() {
        let filter = DeviceFilter(rules: [
            .init(allow: true, kind: .character, major: 9, minor: 9), .init(allow: false),
            .init(allow: true, kind: .character, major: 1, minor: 3, access: .read),
            .init(allow: true, kind: .character, major: 1, minor: 3, access: .write),
            .init(allow: false, kind: .character, major: 1, minor: 3, access: .write),
            .init(allow: true, access: .makeNode),
        ])
        #expect(!filter.allowsByDefault)
        #expect(
            filter.exceptions == [
                .init(kind: .character, major: 1, minor: 3, access: .read),
                .init(kind: .block, major: nil, minor: nil, access: .makeNode),
                .init(kind: .character, major: nil, minor: nil, access: .makeNode),
            ])
    }

    @Test("shares become weights along the usual curve")
    func weights() {
        #expect([2, 1024, 262_144].map(Cgroup.weight(shares:)) == [1, 100, 10_000])
        #expect(Cgroup.weight(shares: 512) < 100)
    }
}

@Suite("Cgroups of this machine", .enabled(if: getuid() == 0))
struct CgroupRootTests {
    private static func name() -> String { "/skiff-test-\(UInt32.random(in: 0 ... .max))/group" }

    /// A process that only sleeps.
    private static func sleeper() throws -> pid_t {
        try spawn("/bin/sleep", arguments: ["600"], environment: [], descriptors: [])
    }

    @Test("a group has its limits, counts its processes, and is gone with its parent after removal")
    func lifeOfAGroup() throws {
        let limits = Cgroup.Resources(
            memoryLimit: 64 << 20, memorySwap: 64 << 20, cpuShares: 512, cpuQuota: 50_000, cpuPeriod: 100_000, cpus: "0",
            pidsLimit: 20)
        let cgroup = try Cgroup.create(path: Self.name(), resources: limits)
        let pid = try Self.sleeper()
        try cgroup.enter(pid)
        let statistics = try cgroup.statistics()
        #expect(statistics.memory.limit == 64 << 20)
        #expect(statistics.processes == .init(current: 1, limit: 20))
        #expect(try cgroup.processes() == [pid])
        #expect(try Cgroup.open(path: cgroup.path).processes() == [pid])
        try cgroup.update(.init(memoryLimit: 128 << 20, memorySwap: 256 << 20))
        try cgroup.update(.init(memoryLimit: 32 << 20, memorySwap: 32 << 20))
        #expect(try cgroup.statistics().memory.limit == 32 << 20)
        #expect(try cgroup.oomKillCount() == 0)
        try cgroup.killAll()
        #expect(try reap(pid) == .signaled(SIGKILL))
        try cgroup.remove()
        try cgroup.remove()
        for directory in cgroup.directories {
            #expect(access(directory.removingLastComponent().string, F_OK) == -1)
        }
        #expect(throws: SystemError.self) { try Cgroup.open(path: cgroup.path) }
    }

    @Test("a frozen group stands still, goes on after the thaw, and can be killed while frozen")
    func freezing() throws {
        let cgroup = try Cgroup.create(path: Self.name())
        let pid = try Self.sleeper()
        try cgroup.enter(pid)
        try cgroup.freeze()
        #expect(try cgroup.isFrozen())
        try cgroup.thaw()
        #expect(try !cgroup.isFrozen())
        try cgroup.freeze()
        try cgroup.killAll()
        #expect(try reap(pid) == .signaled(SIGKILL))
        try cgroup.remove()
    }

    @Test("removal takes groups along that a container made below its own")
    func nestedGroups() throws {
        let cgroup = try Cgroup.create(path: Self.name())
        for directory in cgroup.directories {
            try makeDirectories(directory.appending("inner/most"), mode: 0o755)
        }
        try cgroup.remove()
        for directory in cgroup.directories { #expect(access(directory.string, F_OK) == -1) }
    }

    @Test("a group that has processes is not taken over")
    func existingGroup() throws {
        let cgroup = try Cgroup.create(path: Self.name())
        let pid = try Self.sleeper()
        try cgroup.enter(pid)
        #expect(throws: SystemError.self) { try Cgroup.create(path: cgroup.path) }
        #expect(try cgroup.processes() == [pid])
        try cgroup.killAll()
        _ = try reap(pid)
        try cgroup.remove()
    }

    @Test(
        "the kernel takes a device filter of version 2, which refuses what is not open",
        .enabled(if: access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) == 0))
    func deviceFilter() throws {
        let directory = FilePath("/sys/fs/cgroup/unified/skiff-test-\(UInt32.random(in: 0 ... .max))")
        try makeDirectories(directory, mode: 0o755)
        defer { rmdir(directory.string) }
        let filter = DeviceFilter(rules: [
            .init(allow: false), .init(allow: true, kind: .character, major: 1, minor: 3),
            .init(allow: true, kind: .character, major: 1, minor: 5, access: .read),
        ])
        try filter.attach(to: directory)
        // The shell enters the group itself and tells by its exit code what it may open: null (rw), zero (r), not full.
        let script = """
            echo 0 > \(directory)/cgroup.procs
            : <> /dev/null || exit 2
            : < /dev/zero || exit 3
            (: > /dev/zero) && exit 4
            (: < /dev/full) && exit 5
            exit 0
            """
        let output = try OwnedFD.open("/dev/null", .readWrite)
        let pid = try spawn(
            "/bin/sh", arguments: ["-c", script], environment: [], descriptors: [output.raw, output.raw, output.raw])
        #expect(try reap(pid) == .exited(0))
    }
}
