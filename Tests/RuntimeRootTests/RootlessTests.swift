import Glibc
import Linux
import OCI
import SystemPackage
import Testing

/// The runtime as an ordinary user calls it. The user is `nobody`, who owns the bundle here and nothing else.
@Suite("Without privilege", .enabled(if: getuid() == 0 && access("/usr/bin/setpriv", X_OK) == 0), .timeLimit(.minutes(1)))
struct RootlessTests {
    private static let user: uid_t = 65534

    /// A configuration that an ordinary user may have.
    private func spec(_ bundle: TestBundle, _ script: String = "true") -> RuntimeSpec {
        var spec = bundle.spec(script)
        spec.linux.namespaces.append(.init(type: .user))
        spec.linux.uidMappings = [.init(containerID: 0, hostID: Self.user, size: 1)]
        spec.linux.gidMappings = [.init(containerID: 0, hostID: Self.user, size: 1)]
        spec.mounts.removeAll { $0.type == "cgroup" }
        for index in spec.mounts.indices { spec.mounts[index].options.removeAll { $0 == "gid=5" } }
        // runc takes a path for the wish to have a group there.
        if bundle.runtime == .runc { spec.linux.cgroupsPath = nil }
        spec.linux.resources = .init(devices: [.init(allow: false, access: "rwm")])
        return spec
    }

    private func give(_ path: FilePath) throws {
        try #require(lchown(path.string, Self.user, Self.user) == 0)
        guard try lstatIfExists(path)?.kind == .directory else { return }
        for name in try namesInDirectory(try OwnedFD.open(path, [.readOnly, .directory])) {
            try give(path.appending(name.description))
        }
    }

    private func with(_ runtime: TestBundle.Runtime = .skiff, _ body: (TestBundle) throws -> Void) throws {
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            try makeDirectories(bundle.directory.appending("states"))
            try give(bundle.directory)
            bundle.caller.set(["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
            try body(bundle)
        }
    }

    @Test("a container runs: root inside is the user outside, alone in its namespaces", arguments: TestBundle.Runtime.installed)
    func runs(runtime: TestBundle.Runtime) throws {
        try with(runtime) { (bundle: TestBundle) throws in
            let lines = try bundle.lines(
                spec(
                    bundle,
                    "id -u; cat /proc/self/uid_map /proc/self/setgroups; hostname; echo $$; ls /proc | grep -c '^[0-9]*$'; touch /made; stat -c %u /made"
                ))
            #expect(lines[0] == "0" && lines[1].split(separator: " ") == ["0", "65534", "1"] && lines[2] == "deny")
            #expect(lines[3] == "skiff-test" && lines[4] == "1" && lines.last == "0", "\(lines)")
            #expect(try lstatIfExists(bundle.rootfs.appending("made"))?.uid == Self.user)
        }
    }

    @Test("devices are bound, kernel file systems are mounted, masks and read-only paths hold", arguments: TestBundle.Runtime.installed)
    func mounts(runtime: TestBundle.Runtime) throws {
        try with(runtime) { (bundle: TestBundle) throws in
            let script = """
                for d in null zero full random urandom tty; do stat -c %t:%T /dev/$d; done; echo x > /dev/null && head -c 4 /dev/zero | wc -c
                for p in /proc/kcore /proc/keys; do [ ! -e $p ] || [ -z "$(head -c 1 $p 2>/dev/null)" ] || echo "readable $p"; done
                (echo 1 > /proc/sys/net/ipv4/ip_forward) 2>/dev/null && echo "writable /proc/sys"
                grep -c . /dev/mqueue/none 2>/dev/null; touch /dev/shm/x && echo shm
                """
            #expect(try bundle.lines(spec(bundle, script)) == ["1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "4", "shm"])
        }
    }

    @Test("binds come with what the user may see, read-only and with the options that the host has locked", arguments: TestBundle.Runtime.installed)
    func binds(runtime: TestBundle.Runtime) throws {
        try with(runtime) { (bundle: TestBundle) throws in
            let source = bundle.directory.appending("source")
            try makeDirectories(source, mode: 0o755)
            _ = try bundle.write("content\n", to: "source/file")
            try give(source)
            var wanted = spec(bundle, "cat /m/file; (echo x > /m/file) 2>/dev/null || echo closed")
            wanted.mounts.append(.init(destination: "/m", type: "bind", source: source.string, options: ["rbind", "ro", "nosuid"]))
            #expect(try bundle.lines(wanted) == ["content", "closed"])
        }
    }

    @Test("sysctls of its own network, a read-only root, limits, a keyring, seccomp and another program's environment")
    func settings() throws {
        try with { (bundle: TestBundle) throws in
            var wanted = spec(
                bundle,
                "cat /proc/sys/net/ipv4/ip_forward; (touch /x) 2>/dev/null || echo closed; ulimit -n; mkdir /tmp/x 2>/dev/null || echo refused; grep -E '^(CapEff|NoNewPrivs)' /proc/self/status"
            )
            wanted.linux.sysctl = ["net.ipv4.ip_forward": "1"]
            wanted.root.readonly = true
            wanted.process.rlimits = [.init(type: "RLIMIT_NOFILE", soft: 64, hard: 64)]
            wanted.process.noNewPrivileges = true
            wanted.linux.seccomp = .init(
                defaultAction: "SCMP_ACT_ALLOW", syscalls: [.init(names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO")])
            let lines = try bundle.lines(wanted)
            #expect(lines == ["1", "closed", "64", "refused", "CapEff:\t00000000000004e3", "NoNewPrivs:\t1"], "\(lines)")
        }
    }

    @Test("create, start, exec, kill and delete work without a cgroup; groups cannot be chosen")
    func life() throws {
        try with { (bundle: TestBundle) throws in
            try bundle.startSleeping(spec(bundle))
            #expect(try bundle.state()["status"] == "running")
            let exec = try bundle.call(["exec", bundle.id, "sh", "-c", "id -u; echo $$ > /dev/null; cat /proc/1/comm"])
            #expect(exec.lines == ["0", "sleep"], "\(exec.output)")
            let group = try bundle.call(["exec", "--additional-gids", "5", bundle.id, "true"])
            #expect(group.code == 255 && group.output.contains("cannot set any additional groups in a rootless container"), "\(group.output)")
            try bundle.killAndDelete()
        }
    }

    @Test("hooks run as the user, in their order")
    func hooks() throws {
        try with { (bundle: TestBundle) throws in
            let log = bundle.directory.appending("log").string
            func note(_ kind: String) -> [RuntimeSpec.Hook] {
                [.init(path: "/bin/busybox", args: ["sh", "-c", "echo \(kind) $(id -u) >> \(log)"], env: ["PATH=/bin:/usr/bin"])]
            }
            var wanted = spec(bundle)
            wanted.hooks = .init(createRuntime: note("createRuntime"), createContainer: note("createContainer"), poststop: note("poststop"))
            #expect(try bundle.run(wanted).code == 0)
            #expect(try bundle.read("log") == "createRuntime 65534\ncreateContainer 0\npoststop 65534\n")
        }
    }

    @Test("what needs privilege is refused, and says so")
    func refusals() throws {
        try with { (bundle: TestBundle) throws in
            func refuses(_ word: String, _ change: (inout RuntimeSpec) -> Void) throws {
                var wanted = spec(bundle, "echo ran")
                change(&wanted)
                let text = try bundle.refusal(wanted)
                #expect(text.contains(word), "\(word): \(text)")
            }
            try refuses("rootless container requires user namespaces") {
                $0.linux.namespaces.removeAll { $0.type == .user }
                $0.linux.uidMappings = []
                $0.linux.gidMappings = []
            }
            try refuses("rootless needs no limits") { $0.linux.resources?.memory = .init(limit: 1 << 30) }
            try refuses("cannot set any additional groups in a rootless container") { $0.process.user.additionalGids = [5] }
            try refuses("oomScoreAdj") { $0.process.oomScoreAdj = -500 }
            try refuses("error mounting") { $0.mounts.append(.init(destination: "/m", type: "ext4", source: "/dev/vda")) }
            try refuses("error mounting") {
                $0.mounts.append(.init(destination: "/m", type: "bind", source: "/etc", options: ["bind", "idmap"]))
            }
        }
    }

    @Test("more ids come from newuidmap and newgidmap, as far as /etc/subuid goes", .enabled(if: access("/usr/bin/newuidmap", X_OK) == 0))
    func manyIDs() throws {
        try with { (bundle: TestBundle) throws in
            let table = try bundle.write("nobody:200000:65536\n", to: "subuid")
            // In a mount namespace of the caller alone.
            bundle.caller.set([
                "/usr/bin/unshare", "-m", "/bin/sh", "-c",
                "mount --bind \(table) /etc/subuid && mount --bind \(table) /etc/subgid && exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"",
                "sh",
            ])
            var wanted = spec(bundle, "cat /proc/self/uid_map /proc/self/setgroups; id -u; id -G")
            wanted.linux.uidMappings = [.init(containerID: 0, hostID: Self.user, size: 1), .init(containerID: 1, hostID: 200_000, size: 65535)]
            wanted.linux.gidMappings = wanted.linux.uidMappings
            wanted.process.user = .init(uid: 7, gid: 8, additionalGids: [9])
            let lines = try bundle.lines(wanted).map { $0.split(separator: " ").joined(separator: " ") }
            #expect(lines == ["0 65534 1", "1 200000 65535", "allow", "7", "8 9"], "\(lines)")
            wanted.linux.uidMappings[1].size = 100_000
            #expect(try bundle.refusal(wanted).contains("newuidmap failed"))
        }
    }
}
