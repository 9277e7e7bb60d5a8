import Glibc
import Linux
import OCI
import SystemPackage
import Testing

@Suite("Seccomp on the kernel", .enabled(if: getuid() == 0), .timeLimit(.minutes(1)))
struct SeccompActionTests {
    private func spec(
        _ bundle: TestBundle, _ script: String, _ names: [String], _ action: String, errno: UInt32? = nil, args: [RuntimeSpec.SyscallArg] = []
    ) -> RuntimeSpec {
        var spec = bundle.spec(script)
        spec.linux.seccomp = .init(
            defaultAction: "SCMP_ACT_ALLOW", syscalls: [.init(names: names, action: action, errnoRet: errno, args: args)])
        return spec
    }

    private static let directories = ["mkdir", "mkdirat"]

    @Test(
        "every action does what it says", arguments: TestBundle.Runtime.installed,
        [
            ("SCMP_ACT_KILL", "159"), ("SCMP_ACT_KILL_THREAD", "159"), ("SCMP_ACT_KILL_PROCESS", "159"), ("SCMP_ACT_TRAP", "159"),
            ("SCMP_ACT_ALLOW", "0"), ("SCMP_ACT_LOG", "0"), ("SCMP_ACT_ERRNO", "1"), ("SCMP_ACT_TRACE", "1"),
        ])
    func actions(runtime: TestBundle.Runtime, action: (name: String, code: String)) throws {
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            let lines = try bundle.lines(spec(bundle, "mkdir /tmp/x 2>&1; echo $?", Self.directories, action.name))
            #expect(lines.last == action.code, "\(lines)")
            let text = ["SCMP_ACT_ERRNO": "Operation not permitted", "SCMP_ACT_TRACE": "Function not implemented"][action.name]
            if let text { #expect(lines.first?.contains(text) == true, "\(lines)") }
        }
    }

    @Test(
        "every comparison is one of 64 bits", .enabled(if: SystemName.current().machine == "x86_64"), arguments: TestBundle.Runtime.installed,
        [
            ("SCMP_CMP_NE", "-+-"), ("SCMP_CMP_LT", "-++"), ("SCMP_CMP_LE", "--+"), ("SCMP_CMP_EQ", "+-+"), ("SCMP_CMP_GE", "+--"),
            ("SCMP_CMP_GT", "++-"), ("SCMP_CMP_MASKED_EQ", "+--"),
        ])
    func comparisons(runtime: TestBundle.Runtime, comparison: (name: String, shown: String)) throws {
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            // Below, at and above a number whose lower half alone would be compared the other way round.
            let sizes = ["9", "4294967301", "8589934592"]
            let script = "for s in \(sizes.joined(separator: " ")); do busybox truncate -s $s /tmp/f 2>/dev/null && echo + || echo -; done"
            let isMasked = comparison.name == "SCMP_CMP_MASKED_EQ"
            let argument = RuntimeSpec.SyscallArg(
                index: 1, value: isMasked ? 0x3_0000_0000 : 4_294_967_301, valueTwo: isMasked ? 0x1_0000_0000 : 0, op: comparison.name)
            let wanted = spec(bundle, script, ["ftruncate"], "SCMP_ACT_ERRNO", args: [argument])
            let shown = isMasked ? "+-+" : comparison.shown
            #expect(try bundle.lines(wanted).joined() == shown)
        }
    }

    @Test("flags, architectures and names that no machine has leave the profile in force", arguments: TestBundle.Runtime.installed)
    func flags(runtime: TestBundle.Runtime) throws {
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            var wanted = spec(bundle, "grep Seccomp: /proc/self/status; mkdir /tmp/x", Self.directories, "SCMP_ACT_ERRNO", errno: 28)
            // runc 1.1 knows no flags.
            if runtime == .skiff {
                wanted.linux.seccomp?.flags = ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"]
            }
            wanted.linux.seccomp?.architectures = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
            wanted.linux.seccomp?.syscalls[0].names.append("no_such_system_call")
            let outcome = try bundle.run(wanted)
            #expect(outcome.output.contains("Seccomp:\t2") && outcome.output.contains("No space left on device"), "\(outcome.output)")
        }
    }

    /// Takes the descriptor that came to the agent's socket, with what was said.
    private func receive(_ listener: borrowing UnixListener) throws -> (state: JSONValue, descriptor: SharedFD)? {
        guard let connection = try listener.accept(), var message = try Channel(adopting: connection).receive(),
            let descriptor = message.takeDescriptor()
        else { return nil }
        return (try JSONValue.parse(message.bytes), SharedFD(descriptor))
    }

    /// Answers the next call with an error; `struct seccomp_notif` and `struct seccomp_notif_resp`, seccomp_unotify(2).
    private func answer(_ descriptor: SharedFD, error: Int32) -> (pid: UInt32, call: UInt32)? {
        var waiting = pollfd(fd: descriptor.raw, events: Int16(POLLIN), revents: 0)
        guard poll(&waiting, 1, 10_000) == 1 else { return nil }
        var request = [UInt32](repeating: 0, count: 20)
        guard ioctl(descriptor.raw, 0xC050_2100, &request) == 0 else { return nil }
        var response: [UInt32] = [request[0], request[1], 0, 0, UInt32(bitPattern: -error), 0]
        guard ioctl(descriptor.raw, 0xC018_2101, &response) == 0 else { return nil }
        return (request[2], request[4])
    }

    @Test(
        "a call that is left to an agent gets the agent's answer, in the first process and in an exec", arguments: TestBundle.Runtime.installed,
        [false, true])
    func notify(runtime: TestBundle.Runtime, noNewPrivileges: Bool) throws {
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            let listener = try UnixListener(name: "agent", in: try OwnedFD.open(bundle.directory, [.path, .directory]))
            var wanted = spec(bundle, "mkdir /tmp/x 2> /result; sleep 600", Self.directories, "SCMP_ACT_NOTIFY")
            wanted.process.noNewPrivileges = noNewPrivileges
            wanted.linux.seccomp?.listenerPath = bundle.directory.appending("agent").string
            wanted.linux.seccomp?.listenerMetadata = "some data"
            if runtime == .skiff { wanted.linux.seccomp?.flags = ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"] }
            try bundle.write(wanted)
            #expect(try bundle.call(["create", "--bundle", bundle.directory.string, bundle.id]).code == 0)
            guard case (let state, let descriptor)? = try receive(listener) else {
                Issue.record("no descriptor came")
                return
            }
            let pid = try bundle.state()["pid"]
            #expect(state["fds"]?.array == ["seccompFd"] && state["metadata"] == "some data" && state["pid"] == pid)
            #expect(state["state"]?["id"]?.string == bundle.id && state["state"]?["status"] == "creating")
            #expect(try bundle.call(["start", bundle.id]).code == 0)
            guard let call = answer(descriptor, error: ENOSPC) else {
                Issue.record("nobody asked")
                return
            }
            #expect(Int64(call.pid) != 0)
            // The shell goes on when it has written its complaint.
            let result = bundle.rootfs.appending("result")
            var tries = 0
            while try lstatIfExists(result)?.size ?? 0 == 0, tries < 1000 {
                usleep(1000)
                tries += 1
            }
            #expect(try bundle.read("rootfs/result").contains("No space left on device"))
            if runtime == .skiff {
                let process = RuntimeSpec.Process(args: ["true"], env: ["PATH=/bin"], noNewPrivileges: noNewPrivileges)
                let file = try bundle.write(String(decoding: process.json().serialized(), as: UTF8.self), to: "process.json")
                #expect(try bundle.call(["exec", "--process", file.string, bundle.id]).code == 0)
                guard case (let second, _)? = try receive(listener) else {
                    Issue.record("no descriptor came for the exec")
                    return
                }
                #expect(second["state"]?["status"] == "running" && second["state"]?["pid"] == pid && second["pid"] != pid)
            }
        }
    }

    @Test("without an agent that listens the container does not start")
    func nobodyListens() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var wanted = spec(bundle, "echo ran", Self.directories, "SCMP_ACT_NOTIFY")
            #expect(try bundle.refusal(wanted).contains("SCMP_ACT_NOTIFY needs an absolute listenerPath"))
            wanted.linux.seccomp?.listenerPath = bundle.directory.appending("nobody").string
            #expect(try bundle.refusal(wanted).contains("unable to send the seccomp descriptor to listenerPath"))
        }
    }
}
