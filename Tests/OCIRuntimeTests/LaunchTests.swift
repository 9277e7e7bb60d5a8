import Linux
import OCI
import Testing

@testable import OCIRuntime

@Suite("Mount options")
struct MountOptionsTests {
    private func parse(_ type: String, _ options: [String], hasOwnUsers: Bool = false) throws -> MountOptions {
        try MountOptions(.init(destination: "/x", type: type, source: "/y", options: options), hasOwnUsers: hasOwnUsers)
    }

    @Test("attributes, propagation and data are told apart")
    func sorting() throws {
        let options = MountOptions(["nosuid", "ro", "rslave", "mode=755", "size=1k", "strictatime"], type: "tmpfs")
        #expect(options.set == [.noSetUserID, .readOnly, .strictAccessTime])
        #expect(options.propagations == [.init(kind: .slave, isRecursive: true)])
        #expect(options.data == ["mode=755", "size=1k"])
        #expect(!options.isBind)
    }

    @Test("the last of two options that contradict each other counts")
    func lastCounts() {
        let options = MountOptions(["ro", "rw", "noatime", "relatime", "sync", "async", "lazytime", "nolazytime"], type: nil)
        #expect(options.set.isDisjoint(with: [.readOnly, .accessTimes]))
        #expect(options.clear.contains(.readOnly) && options.switches.isEmpty)
    }

    @Test("bind comes from the type or the options, recursive attributes are kept apart")
    func binds() {
        #expect(MountOptions([], type: "bind").isBind)
        let options = MountOptions(["rbind", "rro", "rprivate", "unbindable"], type: "none")
        #expect(options.isBind && options.isRecursive && options.recursiveSet == .readOnly && options.set == [])
        #expect(options.propagations == [.init(kind: .isPrivate, isRecursive: true), .init(kind: .unbindable, isRecursive: false)])
    }

    @Test("every recursive attribute of the specification is known and reaches no file system")
    func recursiveAttributes() {
        let names = [
            "rro", "rrw", "rnosuid", "rsuid", "rnodev", "rdev", "rnoexec", "rexec", "rnodiratime", "rdiratime", "rrelatime",
            "rnorelatime", "rnoatime", "ratime", "rstrictatime", "rnostrictatime", "rnosymfollow", "rsymfollow",
        ]
        for name in names {
            let options = MountOptions([name], type: "bind")
            #expect(options.data.isEmpty && (options.recursiveSet != [] || options.recursiveClear != []), "\(name)")
        }
    }

    @Test("one text with several options is several, but for commas behind a backslash and in quotes")
    func commas() {
        let options = MountOptions([#"size=1k,mode=700"#, #"lowerdir=/a\,b:/c"#, #"context="u:r:s0:c1,c2""#], type: "tmpfs")
        #expect(options.data == ["size=1k", "mode=700", #"lowerdir=/a\,b:/c"#, #"context="u:r:s0:c1,c2""#])
    }

    @Test("options that have no place are refused, and say where")
    func unsupported() throws {
        for (type, option) in [("bind", "tmpcopyup"), ("tmpfs", "idmap"), ("bind", "ridmap"), ("tmpfs", "iversion")] {
            let error = #expect(throws: LaunchError.self) { try parse(type, [option]) }
            #expect(error?.message.hasPrefix("invalid mount /x: ") == true)
        }
        #expect(try parse("bind", ["ridmap"], hasOwnUsers: true).mapping == .recursive)
        #expect(try parse("ext4", ["iversion"]).data == ["i_version"])
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
