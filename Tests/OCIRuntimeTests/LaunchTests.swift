import Linux
import OCI
import Testing

@testable import OCIRuntime

@Suite("Mount options")
struct MountOptionsTests {
    @Test("attributes, propagation and data are told apart")
    func sorting() throws {
        let options = try MountOptions(["nosuid", "ro", "rslave", "mode=755", "size=1k", "strictatime"], type: "tmpfs")
        #expect(options.set == [.noSetUserID, .readOnly, .strictAccessTime])
        #expect(options.propagation == .slave && options.propagationIsRecursive)
        #expect(options.data == ["mode=755", "size=1k"])
        #expect(!options.isBind)
    }

    @Test("the last of two options that contradict each other counts")
    func lastCounts() throws {
        let options = try MountOptions(["ro", "rw", "noatime", "relatime"], type: nil)
        #expect(options.set.isDisjoint(with: [.readOnly, .accessTimes]))
        #expect(options.clear.contains(.readOnly))
    }

    @Test("bind comes from the type or the options, recursive attributes are kept apart")
    func binds() throws {
        #expect(try MountOptions([], type: "bind").isBind)
        let options = try MountOptions(["rbind", "rro", "rprivate"], type: "none")
        #expect(options.isBind && options.isRecursive && options.recursiveSet == .readOnly && options.set == [])
        #expect(options.propagation == .isPrivate)
    }

    @Test("what is not supported is refused", arguments: ["tmpcopyup", "idmap", "ridmap"])
    func unsupported(option: String) {
        #expect(throws: LaunchError.self) { try MountOptions([option], type: "tmpfs") }
    }
}

@Suite("Sysctls")
struct SysctlTests {
    @Test(
        "settings of a namespace become paths",
        arguments: [
            ("net.ipv4.ip_forward", "net/ipv4/ip_forward"), ("net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding"),
            ("net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"), ("kernel.shmmax", "kernel/shmmax"),
            ("fs.mqueue.msg_max", "fs/mqueue/msg_max"),
        ])
    func paths(key: String, path: String) throws {
        #expect(try Sysctl.path(of: key, namespaces: [.network, .ipc]) == path)
    }

    @Test(
        "settings of the host, and keys with tricks, are refused",
        arguments: [
            "kernel.core_pattern", "kernel.panic", "vm.swappiness", "kernel.shm_rmid_forced+kernel.core_pattern=x", "net.a\nb",
            "net...x", "net/../kernel/core_pattern", "net.ipv4.", "", "/net/ipv4/ip_forward", "net=1", "fs.mqueue",
        ])
    func refused(key: String) {
        #expect(throws: LaunchError.self) { try Sysctl.path(of: key, namespaces: [.network, .ipc, .uts]) }
    }

    @Test("a namespace that is the host's protects its settings")
    func hostNamespace() {
        #expect(throws: LaunchError.self) { try Sysctl.path(of: "net.ipv4.ip_forward", namespaces: [.ipc]) }
        #expect(throws: LaunchError.self) { try Sysctl.path(of: "kernel.sem", namespaces: [.network]) }
    }
}

@Suite("Checks before the clone")
struct LaunchChecks {
    private func plan(_ process: RuntimeSpec.Process, seccomp: RuntimeSpec.Seccomp? = nil) throws {
        _ = try ProcessPlan(process, seccomp: seccomp)
    }

    @Test("a process needs arguments, an absolute directory and texts without zero bytes")
    func process() {
        #expect(throws: LaunchError.self) { try plan(.init(args: [])) }
        #expect(throws: LaunchError.self) { try plan(.init(args: ["a"], cwd: "a")) }
        #expect(throws: LaunchError.self) { try plan(.init(args: ["a"], env: ["A=b\0C=d"])) }
        #expect(throws: LaunchError.self) { try plan(.init(args: ["a"], rlimits: [.init(type: "RLIMIT_X", soft: 1, hard: 1)])) }
        let twice = RuntimeSpec.Rlimit(type: "RLIMIT_CORE", soft: 1, hard: 1)
        #expect(throws: LaunchError.self) { try plan(.init(args: ["a"], rlimits: [twice, twice])) }
    }

    @Test("seccomp rules that this program cannot keep are refused")
    func seccomp() {
        let process = RuntimeSpec.Process(args: ["a"])
        #expect(throws: LaunchError.self) { try plan(process, seccomp: .init(defaultAction: "SCMP_ACT_NOTIFY")) }
        #expect(throws: LaunchError.self) {
            try plan(process, seccomp: .init(defaultAction: "SCMP_ACT_ALLOW", flags: ["SECCOMP_FILTER_FLAG_X"]))
        }
        #expect(throws: LaunchError.self) {
            try plan(process, seccomp: .init(defaultAction: "SCMP_ACT_ALLOW", listenerPath: "/x"))
        }
    }

    @Test("messages between parent and child survive the way")
    func messages() {
        let error = LaunchError(exitCode: 127, message: "exec: \"x\": executable file not found in $PATH")
        guard case .failed(let read)? = LaunchMessage(LaunchMessage.failed(error).bytes) else {
            Issue.record("not an error")
            return
        }
        #expect(read == error)
        for bytes: [UInt8] in [[], [0], [69]] { if LaunchMessage(bytes) != nil { Issue.record("\(bytes)") } }
    }
}
