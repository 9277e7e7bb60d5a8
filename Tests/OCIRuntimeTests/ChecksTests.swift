import Linux
import OCI
import Testing

@testable import OCIRuntime

@Suite("Refusals before anything is made")
struct ChecksTests {
    private func check(_ change: (inout RuntimeSpec) -> Void) throws {
        var spec = RuntimeSpec()
        spec.linux.namespaces = [.mount, .uts, .network, .pid].map { .init(type: $0) }
        change(&spec)
        try ContainerChecks(spec: spec, namespaces: try NamespacePlan(spec)).run()
    }

    @Test("versions up to ours are taken", arguments: ["1.0.0", "1.0.2-dev", "1.1.0+dev", "1.2.1", "1.3.0", "1.3.9", "1.0.0-rc5"])
    func versions(version: String) throws {
        try check { $0.ociVersion = version }
    }

    @Test("other versions are refused", arguments: ["", "1", "1.2", "2.0.0", "0.9.0", "1.4.0", "one.two.three", "1.2.3.4", "-1.0.0"])
    func wrongVersions(version: String) {
        #expect(throws: LaunchError.self) { try check { $0.ociVersion = version } }
    }

    @Test("a message names the field")
    func messages() {
        func message(_ change: (inout RuntimeSpec) -> Void) -> String? {
            #expect(throws: LaunchError.self) { try check(change) }?.message
        }
        #expect(message { $0.hooks = .init(poststop: [.init(path: "/a", timeout: 0)]) }?.contains("poststop hook #0: timeout") == true)
        #expect(message { $0.hooks = .init(createRuntime: [.init(path: "a")]) }?.contains("createRuntime hook #0: path") == true)
        #expect(message { $0.linux.rootfsPropagation = "wide" } == "rootfsPropagation=wide is not supported")
        #expect(message { $0.linux.timeOffsets = .init() }?.contains("time namespace isn't enabled") == true)
        #expect(message { $0.linux.namespaces.append(.init(type: .user)) }?.contains("uidMappings and gidMappings") == true)
        #expect(message { $0.linux.uidMappings = [.init(containerID: 0, hostID: 0, size: 1)] }?.contains("user namespace isn't enabled") == true)
        #expect(message { $0.mounts = [.init(destination: "x")] }?.contains("\"x\" is not absolute") == true)
        #expect(
            message { $0.mounts = [.init(destination: "/x", uidMappings: [.init(containerID: 0, hostID: 0, size: 1)])] }?.contains("both") == true)
        #expect(message { $0.linux.netDevices = [.init(hostName: "a/b")] }?.contains("netDevices") == true)
        #expect(message { $0.linux.netDevices = [.init(hostName: "eth0", name: "a name")] }?.contains("netDevices") == true)
        #expect(
            message {
                $0.linux.namespaces.removeAll { $0.type == .uts }; $0.hostname = "x"
            }?.contains("UTS namespace") == true)
        #expect(message { $0.linux.namespaces.removeAll { $0.type == .mount } }?.contains("mount namespace") == true)
        #expect(message { $0.linux.namespaces.append(.init(type: .pid)) } == "malformed spec file: duplicated ns pid")
        #expect(message { $0.linux.namespaces.append(.init(type: .ipc, path: "x")) }?.contains("is not absolute") == true)
        #expect(message { $0.linux.namespaces.append(.init(type: .ipc, path: "/dev/null")) }?.contains("is not a namespace") == true)
    }

    @Test("schedulers, priorities, policies and processor lists that do not exist are refused")
    func process() {
        func plan(_ change: (inout RuntimeSpec.Process) -> Void) throws {
            var process = RuntimeSpec.Process(args: ["a"])
            change(&process)
            _ = try ProcessPlan(process, seccomp: nil)
        }
        let schedulers: [RuntimeSpec.Scheduler] = [
            .init(policy: "SCHED_NONE"), .init(policy: "SCHED_ISO"), .init(policy: "SCHED_OTHER", nice: 20),
            .init(policy: "SCHED_OTHER", priority: 1), .init(policy: "SCHED_FIFO", priority: -1),
            .init(policy: "SCHED_FIFO", runtime: 1), .init(policy: "SCHED_OTHER", flags: ["SCHED_FLAG_X"]),
        ]
        for scheduler in schedulers { #expect(throws: LaunchError.self) { try plan { $0.scheduler = scheduler } } }
        for (type, priority) in [("IOPRIO_CLASS_RT", Int64(8)), ("IOPRIO_CLASS_BE", -1), ("IOPRIO_CLASS_X", 0)] {
            #expect(throws: LaunchError.self) { try plan { $0.ioPriority = .init(type: type, priority: priority) } }
        }
        for list in ["a", "1-", "3-1", "0,,1", "-1", "99999"] {
            #expect(throws: LaunchError.self) { try plan { $0.execCPUAffinity = .init(final: list) } }
            #expect(throws: LaunchError.self) { try KernelTuning(.init(memoryPolicy: .init(mode: "MPOL_BIND", nodes: list))) }
        }
        #expect(throws: LaunchError.self) { try KernelTuning(.init(memoryPolicy: .init(mode: "MPOL_X"))) }
        #expect(throws: LaunchError.self) { try KernelTuning(.init(personality: .init(domain: "BSD"))) }
        #expect(throws: LaunchError.self) { try KernelTuning(.init(personality: .init(domain: "LINUX", flags: ["X"]))) }
    }

    @Test("lists of numbers are read as the kernel writes them")
    func lists() {
        #expect(NumberList("0-3,7")?.words == [0b1000_1111])
        #expect(NumberList("64")?.words == [0, 1])
        #expect(NumberList("") == nil)
    }

    @Test("labels that the kernel cannot keep are refused")
    func labels() throws {
        if !Labels.hasSELinux() {
            #expect(throws: Labels.noSELinux) { try Labels(.init(args: ["a"], selinuxLabel: "u:r:t:s0")) }
            #expect(throws: Labels.noSELinux) { try check { $0.linux.mountLabel = "u:r:t:s0" } }
        }
        #expect(throws: LaunchError.self) { try Labels(.init(args: ["a"], apparmorProfile: "a\nb")) }
    }
}
