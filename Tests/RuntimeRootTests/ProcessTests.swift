import Glibc
import Linux
import OCI
import SystemPackage
import Testing

@Suite("How a process is run", .enabled(if: getuid() == 0), .timeLimit(.minutes(1)))
struct ProcessTests {
    @Test("ordinary policies come with their niceness")
    func ordinary() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            for (policy, number, nice) in [("SCHED_OTHER", 0, Int64(7)), ("SCHED_BATCH", 3, 3), ("SCHED_IDLE", 5, 0)] {
                var spec = bundle.spec("grep -E '^(policy|prio)' /proc/self/sched | tr -dc '0-9\\n'")
                spec.process.scheduler = .init(policy: policy, nice: nice)
                #expect(try bundle.lines(spec) == ["\(number)", "\(120 + nice)"], "\(policy)")
            }
        }
    }

    @Test("real-time policies need their share of the processor, then they have their priority", arguments: ["SCHED_FIFO", "SCHED_RR"])
    func realTime(policy: String) throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec("grep -E '^(policy|prio)' /proc/self/sched | tr -dc '0-9\\n'; echo ran")
            spec.process.scheduler = .init(policy: policy, priority: 10)
            spec.linux.cgroupsPath = "/\(bundle.id)"
            let hasShares = access("/sys/fs/cgroup/cpu/cpu.rt_runtime_us", F_OK) == 0
            if hasShares {
                #expect(try bundle.run(spec).output.contains("error setting scheduler: operation not permitted"))
                spec.linux.resources?.cpu = .init(realtimeRuntime: 1000, realtimePeriod: 1_000_000)
            }
            #expect(try bundle.lines(spec).prefix(2) == [policy == "SCHED_FIFO" ? "1" : "2", "89"])
        }
    }

    @Test("a deadline is kept by the kernel or refused by it, and flags reach it")
    func deadline() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec("grep '^policy' /proc/self/sched | tr -dc '0-9\\n'")
            spec.process.scheduler = .init(
                policy: "SCHED_DEADLINE", flags: ["SCHED_FLAG_RESET_ON_FORK"], runtime: 1_000_000, deadline: 50_000_000, period: 100_000_000)
            spec.process.args = ["grep", "policy", "/proc/self/sched"]
            let outcome = try bundle.run(spec)
            #expect(outcome.code == 0 ? outcome.output.hasSuffix(" 6\n") : outcome.output.contains("error setting scheduler"), "\(outcome.output)")
            spec.process.scheduler = .init(policy: "SCHED_OTHER", flags: ["SCHED_FLAG_RESET_ON_FORK"])
            spec.process.args = ["true"]
            #expect(try bundle.run(spec).code == 0)
        }
    }

    @Test(
        "the disks' priority is as asked",
        arguments: [
            ("IOPRIO_CLASS_BE", Int64(7), "best-effort: prio 7"), ("IOPRIO_CLASS_IDLE", 0, "idle"), ("IOPRIO_CLASS_RT", 3, "realtime: prio 3"),
        ])
    func ioPriority(type: String, priority: Int64, shown: String) throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec("ionice -p 1")
            spec.process.ioPriority = .init(type: type, priority: priority)
            #expect(try bundle.lines(spec)[0].hasPrefix(shown))
        }
    }

    @Test("a 32-bit machine and a memory policy are what programs see, in the first process and in an exec")
    func tuning() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            let show = "uname -m; cat /proc/self/personality; grep -c bind.*:0 /proc/self/numa_maps"
            var spec = bundle.spec(show)
            spec.linux.personality = .init(domain: "LINUX32")
            spec.linux.memoryPolicy = .init(mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES"])
            let lines = try bundle.lines(spec)
            #expect(["i686", "armv8l"].contains(lines[0]) && lines[1] == "00000008" && (Int(lines[2]) ?? 0) > 0, "\(lines)")
            try bundle.startSleeping(spec)
            let exec = try bundle.call(["exec", bundle.id, "sh", "-c", show])
            #expect(exec.lines.prefix(2) == lines.prefix(2), "\(exec.output)")
        }
    }

    @Test("a memory policy that the machine cannot keep is told by its field")
    func wrongNode() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec("echo ran")
            spec.linux.memoryPolicy = .init(mode: "MPOL_BIND", nodes: "1023")
            #expect(try bundle.refusal(spec).contains("unable to set memoryPolicy"))
            spec.linux.memoryPolicy = .init(mode: "MPOL_DEFAULT", nodes: "0")
            #expect(try bundle.refusal(spec).contains("unable to set memoryPolicy"))
        }
    }

    @Test("limits that are given twice, do not exist, or cannot be had stop the start")
    func limits() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec("echo ran")
            spec.process.rlimits = [.init(type: "RLIMIT_CORE", soft: 0, hard: 0), .init(type: "RLIMIT_CORE", soft: 1, hard: 1)]
            #expect(try bundle.refusal(spec).contains("rlimit RLIMIT_CORE is given twice"))
            spec.process.rlimits = [.init(type: "RLIMIT_X", soft: 0, hard: 0)]
            #expect(try bundle.refusal(spec).contains("invalid rlimit type: RLIMIT_X"))
            spec.process.rlimits = [.init(type: "RLIMIT_NOFILE", soft: 10, hard: 5)]
            #expect(try bundle.refusal(spec).contains("RLIMIT_NOFILE"))
        }
    }

    @Test("every limit of the specification is set", arguments: TestBundle.Runtime.installed)
    func allLimits(runtime: TestBundle.Runtime) throws {
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            var spec = bundle.spec("cat /proc/self/limits")
            let names = [
                "AS": "Max address space", "CORE": "Max core file size", "CPU": "Max cpu time", "DATA": "Max data size", "FSIZE": "Max file size",
                "LOCKS": "Max file locks", "MEMLOCK": "Max locked memory", "MSGQUEUE": "Max msgqueue size", "NICE": "Max nice priority",
                "NOFILE": "Max open files", "NPROC": "Max processes", "RSS": "Max resident set", "RTPRIO": "Max realtime priority",
                "RTTIME": "Max realtime timeout", "SIGPENDING": "Max pending signals", "STACK": "Max stack size",
            ]
            var value: Int64 = 1 << 30
            let small = ["NOFILE", "NPROC", "SIGPENDING", "MSGQUEUE", "MEMLOCK"]
            var wanted: [String: Int64] = [:]
            for (name, shown) in names {
                // Less than the runtime itself has, which need not have the right to raise any.
                value += 4096
                let limit = ["NICE", "RTPRIO"].contains(name) ? 0 : small.contains(name) ? 200 + value % 7 : value
                spec.process.rlimits.append(.init(type: "RLIMIT_\(name)", soft: limit, hard: limit))
                wanted[shown] = limit
            }
            for line in try bundle.lines(spec).dropFirst() {
                let shown = String(line.prefix(26).reversed().drop { $0 == " " }.reversed())
                let limit = line.dropFirst(26).split(separator: " ").first.flatMap { Int64($0) }
                if let value = wanted[shown] { #expect(limit == value, "\(line)") }
            }
        }
    }

    @Test("the process has a session keyring of its own", arguments: TestBundle.Runtime.installed)
    func keyring(runtime: TestBundle.Runtime) throws {
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            let keys = try OwnedFD.open("/proc/keys", .readOnly).readAll(limit: 1 << 20)
            var spec = bundle.spec("cat /proc/keys")
            spec.linux.maskedPaths = []
            let inside = try bundle.lines(spec).filter { $0.contains("keyring   _ses") }.map { $0.prefix(8) }
            let outside = String(decoding: keys, as: UTF8.self)
            #expect(inside.contains { !outside.contains($0) }, "\(inside)")
        }
    }

    @Test("the working directory is made, the user's name is ignored, an unknown property too", arguments: TestBundle.Runtime.installed)
    func leniency(runtime: TestBundle.Runtime) throws {
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            var spec = bundle.spec("pwd; id -u")
            spec.process.cwd = "/made/for/it"
            let text = String(decoding: spec.json().serialized(), as: UTF8.self)
                .replacingFirst("\"uid\":0", with: "\"uid\":0,\"username\":\"nobody\",\"future\":{\"a\":[1]}")
            try bundle.write(Array(text.utf8))
            let outcome = try bundle.call(["run", "--bundle", bundle.directory.string, bundle.id])
            #expect(outcome.lines == ["/made/for/it", "0"], "\(outcome.output)")
        }
    }

    @Test("labels without a security module, classes without resctrl and an impossible score are refused by name")
    func absentFeatures() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec("echo ran")
            if access("/sys/fs/selinux/enforce", F_OK) != 0 {
                spec.process.selinuxLabel = "system_u:system_r:container_t:s0"
                #expect(try bundle.refusal(spec).contains("selinux label is specified in config, but selinux is disabled or not supported"))
                spec.process.selinuxLabel = nil
            }
            if access("/sys/module/apparmor", F_OK) != 0 {
                spec.process.apparmorProfile = "docker-default"
                #expect(try bundle.refusal(spec).contains("apparmor not supported"))
                spec.process.apparmorProfile = nil
            }
            if access("/sys/fs/resctrl/schemata", F_OK) != 0 {
                spec.linux.intelRdt = .init(closID: "gold")
                #expect(try bundle.refusal(spec).contains("intelRdt: no resctrl file system is mounted"))
                spec.linux.intelRdt = nil
            }
            spec.process.oomScoreAdj = 1001
            #expect(try bundle.refusal(spec).contains("oomScoreAdj 1001"))
            spec.process.oomScoreAdj = nil
            spec.ociVersion = "2.0.0"
            #expect(try bundle.refusal(spec).contains("unsupported ociVersion 2.0.0"))
        }
    }

    @Test("a terminal has the size that is asked for before the program sees it")
    func consoleSize() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec("busybox stty size")
            spec.process.terminal = true
            spec.process.consoleSize = .init(height: 33, width: 111)
            try bundle.write(spec)
            let listener = try UnixListener(name: "console", in: try OwnedFD.open(bundle.directory, [.path, .directory]))
            let socket = bundle.directory.appending("console").string
            #expect(try bundle.call(["create", "--bundle", bundle.directory.string, "--console-socket", socket, bundle.id]).code == 0)
            guard let accepted = try listener.accept(), var message = try Channel(adopting: accepted).receive(),
                let terminal = message.takeDescriptor()
            else {
                Issue.record("no terminal came")
                return
            }
            #expect(try bundle.call(["start", bundle.id]).code == 0)
            var output: [UInt8] = []
            var byte: UInt8 = 0
            while Glibc.read(terminal.raw, &byte, 1) == 1 { output.append(byte) }
            #expect(String(decoding: output, as: UTF8.self) == "33 111\r\n")
        }
    }
}
