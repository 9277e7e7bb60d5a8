import Glibc
import Linux
import OCI
import SystemPackage
import Testing

@Suite("Isolation of a container", .enabled(if: getuid() == 0), .timeLimit(.minutes(30)))
struct IsolationTests {
    @Test("a container has namespaces of its own and a name")
    func namespaces() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            let kinds = ["mnt", "net", "uts", "pid", "ipc", "cgroup"]
            let outcome = try bundle.run(
                bundle.spec("for n in \(kinds.joined(separator: " ")); do readlink /proc/self/ns/$n; done; hostname; echo $$"))
            #expect(outcome.code == 0, "\(outcome.output)")
            for (kind, inside) in zip(kinds, outcome.lines) {
                var buffer = [CChar](repeating: 0, count: 100)
                readlink("/proc/self/ns/\(kind)", &buffer, 99)
                let outside = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
                #expect(inside.hasPrefix("\(kind):[") && inside != outside)
            }
            #expect(outcome.lines.suffix(2) == ["skiff-test", "1"])
        }
    }

    @Test("masked paths cannot be read, read-only paths not be written")
    func hiddenPaths() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            let spec = bundle.spec(
                """
                for p in $MASKED; do
                  if [ -d $p ]; then [ -z "$(ls -A $p)" ] || echo "readable $p"; touch $p/x 2>/dev/null && echo "writable $p"
                  elif [ -e $p ]; then [ -z "$(head -c 10 $p 2>/dev/null)" ] || echo "readable $p"; fi
                done
                for p in /proc/sysrq-trigger /proc/sys/kernel/hostname /proc/sys/net/ipv4/ip_forward /proc/irq/default_smp_affinity; do
                  if [ -e $p ]; then (echo 0 > $p) 2>/dev/null && echo "writable $p"; fi
                done
                (echo 1 > /sys/kernel/profiling) 2>/dev/null && echo "writable /sys"
                touch /sys/fs/cgroup/x 2>/dev/null && echo "writable cgroup"
                ls /sys/fs/cgroup > /dev/null || echo "no cgroup"
                true
                """)
            var masked = spec
            masked.process.env.append("MASKED=\(spec.linux.maskedPaths.joined(separator: " "))")
            let outcome = try bundle.run(masked)
            #expect(outcome.code == 0 && outcome.output.isEmpty, "\(outcome.output)")
        }
    }

    @Test("the process has the descriptors 0, 1 and 2 and no other, whatever the caller has open")
    func descriptors() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            let secret = try OwnedFD.open("/root", [.readOnly, .directory])
            let outcome = try bundle.run(
                bundle.spec("ls /proc/1/fd; true"), extraDescriptors: [secret.raw, secret.raw, secret.raw])
            #expect(outcome.lines == ["0", "1", "2"])
            try bundle.startSleeping(bundle.spec())
            let exec = try bundle.call(
                ["exec", bundle.id, "sh", "-c", "ls /proc/$$/fd; ls /proc/1/fd; true"], extraDescriptors: [secret.raw])
            #expect(exec.lines == ["0", "1", "2", "0", "1", "2"])
        }
    }

    @Test("a working directory that leads out of the container is refused, at the start and for an exec")
    func workingDirectory() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            let root = try OwnedFD.open("/", [.readOnly, .directory])
            for number in 0...16 {
                var spec = bundle.spec("readlink /proc/self/cwd; ls -a ../../..; true")
                spec.process.cwd = "/proc/self/fd/\(number)"
                let outcome = try bundle.run(spec, extraDescriptors: [root.raw, root.raw])
                #expect(outcome.code == 1 && outcome.output.contains("set in config.json failed"), "\(outcome.output)")
            }
            try bundle.startSleeping(bundle.spec())
            for number in 3...16 {
                let outcome = try bundle.call(
                    ["exec", "--cwd", "/proc/self/fd/\(number)", bundle.id, "true"], extraDescriptors: [root.raw, root.raw])
                #expect(outcome.code == 255)
            }
            let parent = try bundle.call(["exec", "--cwd", "/../../tmp/new/../new/x", bundle.id, "readlink", "/proc/self/cwd"])
            #expect(parent.output == "/tmp/new/x\n")
        }
    }

    @Test(
        "links and files in the place of system directories never lead to the host",
        arguments: ["dev", "proc", "sys", "etc", "dev/pts", "dev/shm", "dev/mqueue", "sys/fs/cgroup", "dev/console", "dev/null"])
    func links(place: String) throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            let canary = bundle.directory.appending("canary")
            try makeDirectories(canary)
            let targets = [
                canary.string, "../../../../../../../..\(canary.string)", "/proc/self/root\(canary.string)", "/proc/1/cwd", "/nowhere/at/all",
            ]
            for target in targets {
                let path = bundle.rootfs.appending(place)
                try removeTree(path)
                try makeDirectories(path.removingLastComponent(), mode: 0o755)
                #expect(symlink(target, path.string) == 0)
                var spec = bundle.spec("echo ran")
                spec.mounts.append(.init(destination: "/etc/bound", type: "bind", source: "/proc/version", options: ["bind"]))
                let before = mountedPaths().count
                let outcome = try bundle.run(spec)
                // It works inside the root, or it is refused; nothing in between.
                #expect(outcome.output == "ran\n" || outcome.output.hasPrefix("runc run failed"), "\(target): \(outcome.output)")
                #expect(try namesInDirectory(try OwnedFD.open(canary, [.readOnly, .directory])).isEmpty, "\(target)")
                #expect(mountedPaths().filter { $0.contains(canary.string) }.isEmpty && before > 0)
                unlink(path.string)
                try makeDirectories(path, mode: 0o755)
            }
        }
    }

    @Test("the runtime itself cannot be executed by a container")
    func ownProgram() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec()
            spec.process.args = ["/proc/self/exe"]
            #expect(try bundle.run(spec).output.contains("exec: \"/proc/self/exe\": permission denied"))
            symlink("/proc/self/exe", bundle.rootfs.appending("bin/evil").string)
            spec.process.args = ["evil", "features"]
            #expect(try bundle.run(spec).output.contains("exec: \"evil\": permission denied"))
        }
    }

    @Test("a system call that the profile forbids fails, in the first process and in an exec", arguments: [false, true])
    func seccomp(noNewPrivileges: Bool) throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec("mkdir /tmp/x; grep Seccomp: /proc/self/status")
            spec.process.noNewPrivileges = noNewPrivileges
            spec.linux.seccomp = .init(
                defaultAction: "SCMP_ACT_ALLOW",
                syscalls: [.init(names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: UInt32(ENOSPC))])
            let outcome = try bundle.run(spec)
            #expect(outcome.output.contains("No space left on device") && outcome.output.contains("Seccomp:\t2"), "\(outcome.output)")
            try bundle.startSleeping(spec)
            let exec = try bundle.call(["exec", bundle.id, "mkdir", "/tmp/x"])
            #expect(exec.output.contains("No space left on device"), "\(exec.output)")
        }
    }

    @Test("a profile, a namespace or a limit that cannot be had keeps the container from starting")
    func failsClosed() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec("echo ran")
            spec.linux.namespaces.append(.init(type: .time, path: "/nowhere"))
            #expect(try bundle.run(spec).code == 1)
            spec = bundle.spec("echo ran")
            spec.linux.seccomp = .init(defaultAction: "SCMP_ACT_WHATEVER")
            #expect(try bundle.run(spec).code == 1)
            spec = bundle.spec("echo ran")
            spec.process.apparmorProfile = "there-is-no-such-profile"
            #expect(try bundle.run(spec).code == 1)
            spec = bundle.spec("echo ran")
            spec.linux.mountLabel = "system_u:object_r:container_file_t:s0"
            #expect(try bundle.run(spec).code == 1)
            spec = bundle.spec("echo ran")
            spec.linux.sysctl = ["kernel.core_pattern": "|/bin/true"]
            #expect(try bundle.run(spec).code == 1)
            #expect(bundle.cgroupsLeft().isEmpty)
        }
    }
}
