import Linux
import OCI
import SystemPackage
import Testing

@testable import OCIRuntime

/// Configurations that somebody has damaged: every one is understood or refused, none stops the program.
@Suite("Nonsense in a configuration")
struct NonsenseTests {
    /// The same numbers in every run.
    private struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 16 ^ state << 32
        }
    }

    /// Something of everything.
    private static let text = #"""
        {"ociVersion":"1.3.0","process":{"terminal":true,"consoleSize":{"height":24,"width":80},"user":{"uid":1000,"gid":1001,"umask":18,
        "additionalGids":[4,5]},"args":["sh"],"env":["A=b"],"cwd":"/","capabilities":{"bounding":["CAP_CHOWN"],"ambient":["CAP_X"]},
        "rlimits":[{"type":"RLIMIT_NOFILE","hard":1024,"soft":1024}],"noNewPrivileges":true,"oomScoreAdj":-5,
        "scheduler":{"policy":"SCHED_OTHER","nice":3,"priority":0,"flags":["SCHED_FLAG_RECLAIM"],"runtime":0,"deadline":0,"period":0},
        "ioPriority":{"class":"IOPRIO_CLASS_BE","priority":4},"execCPUAffinity":{"initial":"0-3,7","final":"0"}},
        "root":{"path":"rootfs"},"hostname":"h","mounts":[{"destination":"/m","type":"bind","source":"/s","options":["rbind","ro","idmap"],
        "uidMappings":[{"containerID":0,"hostID":1,"size":2}],"gidMappings":[{"containerID":0,"hostID":1,"size":2}]}],
        "hooks":{"poststop":[{"path":"/bin/true","args":["true"],"timeout":5}]},"annotations":{"k":"v"},"linux":{"namespaces":[{"type":"pid"},
        {"type":"mount"},{"type":"user"},{"type":"uts"},{"type":"network"},{"type":"time"}],"uidMappings":[{"containerID":0,"hostID":9,"size":6}],
        "gidMappings":[{"containerID":0,"hostID":9,"size":6}],"devices":[{"path":"/dev/x","type":"c","major":1,"minor":3,"fileMode":438,"uid":0}],
        "netDevices":{"eth9":{"name":"in0"}},"cgroupsPath":"/a/b","resources":{"memory":{"limit":1000,"swap":2000,"swappiness":1,"kernel":-1},
        "cpu":{"shares":512,"quota":1,"period":2,"burst":3,"idle":0,"realtimeRuntime":4,"realtimePeriod":5,"cpus":"0-1"},"pids":{"limit":10},
        "devices":[{"allow":false,"type":"c","major":5,"minor":6,"access":"rwm"}],"unified":{"memory.high":"1"},"blockIO":{"weight":500,
        "leafWeight":10,"weightDevice":[{"major":8,"minor":0,"weight":5}],"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":7}]},
        "hugepageLimits":[{"pageSize":"2MB","limit":9}],"network":{"classID":7,"priorities":[{"name":"lo","priority":3}]},
        "rdma":{"mlx":{"hcaHandles":3,"hcaObjects":4}}},"rootfsPropagation":"slave","seccomp":{"defaultAction":"SCMP_ACT_ERRNO",
        "defaultErrnoRet":38,"architectures":["SCMP_ARCH_X86_64"],"flags":["SECCOMP_FILTER_FLAG_LOG"],"syscalls":[{"names":["read"],
        "action":"SCMP_ACT_ALLOW","args":[{"index":1,"value":7,"valueTwo":8,"op":"SCMP_CMP_MASKED_EQ"}]}]},"sysctl":{"net.ipv4.ip_forward":"1"},
        "maskedPaths":["/proc/kcore"],"timeOffsets":{"boottime":{"secs":7,"nanosecs":8}},"personality":{"domain":"LINUX"},
        "memoryPolicy":{"mode":"MPOL_BIND","nodes":"0"},"intelRdt":{"closID":"a","schemata":["L3:0=f"],"enableMonitoring":false}}}
        """#

    private static let values = [
        "-1", "0", "1", "-9223372036854775808", "9223372036854775807", "18446744073709551615", "4294967295", "4294967296", "-2", "1e300", "0.5",
        "true", "null", "[]", "{}", "\"\"", "\"/\"", "\"..\"", "\"a/../..\"", "\"\\u0000\"", "\"\\n\"", "\"0-8191\"", "\"-\"", "\"%d\"",
        "\"\\ud83d\\ude00\"", "\"SCMP_ACT_NOTIFY\"", "\"rro\"", "[[[[]]]]", "[1,\"a\",null]",
    ]

    /// Goes as far as one can without a kernel.
    private func understand(_ bytes: [UInt8]) {
        do {
            let spec = try RuntimeSpec(bytes: bytes)
            _ = spec.json().serialized()
            _ = try? Cgroup.Resources(spec.linux.resources)
            _ = try? KernelTuning(spec.linux)
            _ = try? spec.linux.intelRdt.map { try ResourceDirectory($0, id: "x", root: "/nowhere") }
            for mount in spec.mounts { _ = try? MountOptions(mount, hasOwnUsers: true) }
            for key in spec.linux.sysctl.keys { _ = try? Sysctl.path(of: key, namespaces: [.network, .ipc]) }
            _ = DeviceNode.all(for: spec)
            _ = try? ProcessPlan(spec.process, seccomp: spec.linux.seccomp, hasOwnUsers: true)
            if spec.linux.namespaces.allSatisfy({ $0.path == nil }) {
                try ContainerChecks(spec: spec, namespaces: try NamespacePlan(spec)).run()
            }
        } catch {
            // Refused, which is an answer.
        }
    }

    @Test("every beginning of a configuration")
    func truncated() {
        let bytes = Array(Self.text.utf8)
        for end in bytes.indices { understand(Array(bytes[..<end])) }
        understand(bytes)
    }

    @Test("every value exchanged for every other kind of value")
    func exchanged() {
        let bytes = Array(Self.text.utf8)
        for start in bytes.indices where bytes[start] == UInt8(ascii: ":") || bytes[start] == UInt8(ascii: "[") {
            // A value without parts ends at the next of these.
            var end = start + 1
            while end < bytes.count, ![UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "]")].contains(bytes[end]) { end += 1 }
            for value in Self.values { understand(Array(bytes[...start]) + Array(value.utf8) + Array(bytes[end...])) }
        }
    }

    @Test("thousands of random damages")
    func damaged() {
        var generator = Generator(state: 42)
        let bytes = Array(Self.text.utf8)
        for _ in 0..<3000 {
            var copy = bytes
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: copy.indices, using: &generator)
                switch Int.random(in: 0...2, using: &generator) {
                case 0: copy[place] = UInt8.random(in: 0...255, using: &generator)
                case 1: copy.remove(at: place)
                default: copy.insert(copy[Int.random(in: copy.indices, using: &generator)], at: place)
                }
            }
            understand(copy)
        }
    }
}
