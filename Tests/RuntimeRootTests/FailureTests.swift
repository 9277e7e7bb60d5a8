import Glibc
import Linux
import OCI
import SystemPackage
import Testing

/// Makes single system calls of the runtime fail, one after another, and looks at what is left. Needs strace.
@Suite(
    "A start that fails at any step", .enabled(if: getuid() == 0 && access("/usr/bin/strace", X_OK) == 0),
    .timeLimit(.minutes(10)))
struct FailureTests {
    /// Without each of these a container would be less shut in than it was asked for.
    private static let calls = [
        "clone3", "setsid", "unshare", "sethostname", "open_tree", "move_mount", "mount_setattr", "fsopen", "fsconfig", "fsmount",
        "openat2", "pivot_root", "umount2", "mknodat", "symlinkat", "capset", "setresuid", "setresgid", "setgroups", "seccomp",
        "fchdir", "close_range",
    ]

    private static let isLong = getenv("SKIFF_LONG_TESTS") != nil

    /// Runs a container with the `number`th call of this name failing; nil when there are not as many.
    private func run(_ bundle: TestBundle, _ call: String, _ number: Int) throws -> String? {
        let log = bundle.directory.appending("strace")
        let output = bundle.directory.appending("strace-output")
        let file = try OwnedFD.open(output, [.readWrite, .create, .truncate, .append], mode: 0o644)
        let null = try OwnedFD.open("/dev/null", .readOnly)
        let pid = try spawn(
            "/usr/bin/strace",
            arguments: [
                "-f", "-qq", "-o", log.string, "-e", "trace=\(call)", "-e", "inject=\(call):error=EIO:when=\(number)",
                TestBundle.program.string, "--root", bundle.directory.appending("states").string, "run", "--bundle",
                bundle.directory.string, bundle.id,
            ], environment: TestBundle.environment, descriptors: [null.raw, file.raw, file.raw])
        let end = try reap(pid)
        let text = String(decoding: try OwnedFD.open(output, .readOnly).readAll(limit: 1 << 20), as: UTF8.self)
        let trace = String(decoding: try OwnedFD.open(log, .readOnly).readAll(limit: 16 << 20), as: UTF8.self)
        guard trace.split(separator: "\n").contains(where: { $0.hasSuffix("(INJECTED)") }) else { return nil }
        return "\(end.code) \(text)"
    }

    @Test("no failing call lets a container run that lacks something, and none leaves anything", arguments: calls)
    func injected(call: String) throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec("echo ran")
            spec.linux.seccomp = .init(
                defaultAction: "SCMP_ACT_ALLOW", syscalls: [.init(names: ["mkdir"], action: "SCMP_ACT_ERRNO")])
            spec.linux.devices = [.init(path: "/dev/extra", type: "c", major: 1, minor: 3)]
            spec.process.user = .init(uid: 5, gid: 5, additionalGids: [7])
            try bundle.write(spec)
            let before = mountedPaths().filter { $0.contains("skiff") }.count
            var number = 1
            var failed = 0
            while let outcome = try run(bundle, call, number) {
                #expect(!outcome.split(separator: "\n").contains { $0.hasSuffix(" ran") || $0 == "ran" }, "\(call) number \(number): \(outcome)")
                #expect(!outcome.hasPrefix("0 "), "\(call) number \(number): \(outcome)")
                #expect(bundle.cgroupsLeft().isEmpty, "\(call) number \(number)")
                #expect(try bundle.call(["state", bundle.id]).code == 1)
                failed += 1
                // Calls of one name are much alike: the first ones, then ever fewer.
                number += Self.isLong || number < 3 ? 1 : number
            }
            #expect(failed > 0, "\(call) is not made at all")
            #expect(mountedPaths().filter { $0.contains("skiff") }.count <= before + 1)
        }
    }

    @Test("every field that cannot be had stops the start, names itself, and leaves nothing")
    func fields() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            func refuses(_ word: String, _ change: (inout RuntimeSpec) -> Void) throws {
                var spec = bundle.spec("echo ran")
                change(&spec)
                let text = try bundle.refusal(spec)
                #expect(text.contains(word), "\(word): \(text)")
            }
            try refuses("invalid rootfs") { $0.root.path = "nowhere" }
            try refuses("invalid rootfs") { $0.root.path = "rootfs/bin/busybox" }
            try refuses("/no/source") { $0.mounts.append(.init(destination: "/m", type: "bind", source: "/no/source", options: ["bind"])) }
            try refuses("/m") { $0.mounts.append(.init(destination: "/m", type: "nosuchfs", source: "x")) }
            try refuses("/bin/sh") { $0.mounts.append(.init(destination: "/bin/sh", type: "tmpfs", source: "x")) }
            try refuses("ipc namespace path") {
                $0.linux.namespaces = $0.linux.namespaces.filter { $0.type != .ipc } + [.init(type: .ipc, path: "/no/ns")]
            }
            try refuses("is not a namespace") {
                $0.linux.namespaces = $0.linux.namespaces.filter { $0.type != .ipc } + [.init(type: .ipc, path: "/etc/passwd")]
            }
            try refuses("/m") {
                $0.mounts.append(
                    .init(
                        destination: "/m", type: "bind", source: "/proc", options: ["rbind", "ridmap"],
                        uidMappings: [.init(containerID: 0, hostID: 1, size: 1)], gidMappings: [.init(containerID: 0, hostID: 1, size: 1)]))
            }
            try refuses("gid_map") { spec in
                spec.mapUsers()
                spec.linux.gidMappings = [.init(containerID: 0, hostID: 0, size: 5), .init(containerID: 2, hostID: 9, size: 5)]
            }
            try refuses("hostname") { $0.hostname = String(repeating: "x", count: 65) }
            try refuses("sysctl") { $0.linux.sysctl = ["net.ipv4.no_such_thing": "1"] }
            try refuses("sysctl") { $0.linux.sysctl = ["kernel.msgmax": "nonsense"] }
            try refuses("cwd") { $0.process.cwd = "/bin/sh" }
            try refuses("setresuid") { spec in
                spec.mapUsers()
                spec.process.user.uid = 70_000
            }
            try refuses("in its arguments") { $0.process.args.append("a\0b") }
            try refuses("cgroup path") { $0.linux.cgroupsPath = "/a/../b" }
        }
    }
}
