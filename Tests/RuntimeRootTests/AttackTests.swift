import Glibc
import Linux
import OCI
import Synchronization
import SystemPackage
import Testing

@Suite("What a container tries against its start", .enabled(if: getuid() == 0), .timeLimit(.minutes(30)))
struct AttackTests {
    /// How long a race goes on.
    private static let seconds = getenv("SKIFF_LONG_TESTS") == nil ? 2.0 : 60.0

    /// Exchanges two names in a directory at full speed, as another container with the same volume would.
    private final class Racer: Sendable {
        private let stopped = Atomic(false)
        private let exchanges = Atomic(0)

        init(_ directory: FilePath, _ one: String, _ other: String) throws {
            let parent = SharedFD(try OwnedFD.open(directory, [.readOnly, .directory]))
            let (one, other) = (try FileName(one), try FileName(other))
            try startThread { [self] in
                parent.withOwned { (parent) -> Void in
                    while !stopped.load(ordering: .relaxed) {
                        // While one of them is being made again there is nothing to exchange.
                        if (try? renameat(parent, one, to: parent, other, exchange: true)) != nil {
                            exchanges.add(1, ordering: .relaxed)
                        }
                    }
                }
                ended.store(true, ordering: .releasing)
            }
        }

        private let ended = Atomic(false)

        /// Answers how often the names were exchanged.
        func stop() -> Int {
            stopped.store(true, ordering: .relaxed)
            while !ended.load(ordering: .acquiring) { sched_yield() }
            return exchanges.load(ordering: .relaxed)
        }
    }

    /// Runs containers until the time is over; each has to be refused or to be what it should be.
    private func race(_ bundle: TestBundle, _ spec: RuntimeSpec, _ racer: Racer, _ look: (TestBundle.Outcome) throws -> Void) throws {
        let end = Clock.now() + Self.seconds
        var runs = 0
        while Clock.now() < end {
            try look(try bundle.run(spec))
            runs += 1
        }
        #expect(racer.stop() > runs && runs > 0)
    }

    private enum Clock {
        static func now() -> Double {
            var time = timespec()
            clock_gettime(CLOCK_MONOTONIC, &time)
            return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        }
    }

    private func names(_ path: FilePath) throws -> [String] {
        try namesInDirectory(try OwnedFD.open(path, [.readOnly, .directory])).map(\.description)
    }

    @Test("a mount destination that is exchanged with a link never leads to the host", arguments: ["tmpfs", "bind", "deep", "file"])
    func mountDestination(kind: String) throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            let canary = bundle.directory.appending("canary")
            let volume = bundle.directory.appending("volume")
            for path in [canary, volume, volume.appending("dir"), canary.appending("inner")] { try makeDirectories(path, mode: 0o755) }
            #expect(symlink(canary.string, volume.appending("link").string) == 0)
            var spec = bundle.spec("echo fine")
            spec.mounts.append(.init(destination: "/volume", type: "bind", source: volume.string, options: ["rbind"]))
            let target = ["deep": "/volume/dir/made/below", "file": "/volume/dir/made/file"][kind] ?? "/volume/dir/inner"
            spec.mounts.append(
                kind == "bind" || kind == "file"
                    ? .init(destination: target, type: "bind", source: kind == "file" ? "/proc/version" : "/proc/sys", options: ["bind"])
                    : .init(destination: target, type: "tmpfs", source: "tmpfs"))
            let racer = try Racer(volume, "dir", "link")
            try race(bundle, spec, racer) { (outcome: TestBundle.Outcome) throws in
                #expect(outcome.output == "fine\n" || outcome.output.hasPrefix("runc run failed"), "\(outcome.output)")
                #expect(try names(canary) == ["inner"])
                #expect(try names(canary.appending("inner")).isEmpty)
            }
            #expect(!mountedPaths().contains { $0.contains(canary.string) })
        }
    }

    @Test("a null device that is exchanged in a shared /dev hides everything or nothing starts", arguments: ["file", "link"])
    func nullDevice(kind: String) throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            let devices = bundle.directory.appending("devices")
            try makeDirectories(devices, mode: 0o755)
            let tmpfs = try Mount.filesystem(type: "tmpfs", options: ["mode=755"])
            try Mount.attach(tmpfs, to: try OwnedFD.open(devices, [.path, .directory]))
            defer { try? Mount.detach(devices) }  // The test ends with this mount.
            let place = try OwnedFD.open(devices, [.readOnly, .directory])
            try mknodat(place, "null", kind: .characterDevice, mode: 0o666, major: 1, minor: 3)
            try fchmodat(place, "null", mode: 0o666)
            if kind == "file" {
                _ = try bundle.write("not hidden\n", to: "devices/other")
            } else {
                #expect(symlink("/etc/canary", devices.appending("other").string) == 0)
                _ = try bundle.write("not hidden\n", to: "rootfs/etc/canary")
            }
            var spec = bundle.spec("cat /proc/keys /proc/timer_list; echo done")
            spec.mounts.removeAll { $0.destination.hasPrefix("/dev") }
            spec.mounts.append(.init(destination: "/dev", type: "bind", source: devices.string, options: ["bind"]))
            spec.linux.maskedPaths = ["/proc/keys", "/proc/timer_list", "/sys/firmware"]
            let racer = try Racer(devices, "null", "other")
            try race(bundle, spec, racer) { (outcome: TestBundle.Outcome) throws in
                #expect(outcome.output == "done\n" || outcome.output.hasPrefix("runc run failed"), "\(outcome.output)")
            }
        }
    }

    @Test(
        "a console or a place of terminals that is exchanged in a shared /dev: the terminal is right or nothing starts",
        arguments: ["console", "pts"])
    func terminal(kind: String) throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            let devices = bundle.directory.appending("devices")
            for name in ["pts", "shm"] { try makeDirectories(devices.appending(name), mode: 0o755) }
            _ = try bundle.write("", to: "devices/console")
            for (name, target) in [("other-console", "/etc/canary"), ("other-pts", "/etc")] {
                #expect(symlink(target, devices.appending(name).string) == 0)
            }
            _ = try bundle.write("canary\n", to: "rootfs/etc/canary")
            let before = try [devices, "/dev/pts", "/dev/console", "/etc"].map { try lstatIfExists($0)?.inode }
            var spec = bundle.spec("tty; stat -c %F /etc/canary; cat /etc/canary; echo done")
            spec.process.terminal = true
            spec.mounts.removeAll { $0.destination.hasPrefix("/dev") }
            spec.mounts += [
                .init(destination: "/dev", type: "bind", source: devices.string, options: ["bind"]),
                .init(destination: "/dev/pts", type: "devpts", source: "devpts", options: ["newinstance", "ptmxmode=0666", "mode=0620"]),
            ]
            let racer = try Racer(devices, kind, "other-\(kind)")
            try race(bundle, spec, racer) { (outcome: TestBundle.Outcome) throws in
                let lines = outcome.output.split(whereSeparator: \.isNewline)
                if outcome.output.contains("runc run failed") { return }
                // tty finds the name of a terminal by looking for it, and may find none in a directory that was exchanged.
                #expect(lines.first == "/dev/pts/0" || lines.first == "/dev/console" || kind == "pts", "\(outcome.output)")
                #expect(kind == "pts" || lines.dropFirst() == ["regular file", "canary", "done"], "\(outcome.output)")
                #expect(lines.last == "done", "\(outcome.output)")
            }
            #expect(try [devices, "/dev/pts", "/dev/console", "/etc"].map { try lstatIfExists($0)?.inode } == before)
            #expect(try bundle.read("rootfs/etc/canary") == "canary\n")
            #expect(!mountedPaths().contains { $0.contains(bundle.directory.string) })
        }
    }

    @Test("a masked or read-only path that is exchanged is covered when the program begins, or nothing starts")
    func maskedPath() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            let volume = bundle.directory.appending("volume")
            for name in ["one", "two"] {
                try makeDirectories(volume.appending(name), mode: 0o755)
                _ = try bundle.write("secret\n", to: "volume/\(name)/file")
            }
            let canary = bundle.directory.appending("canary")
            try makeDirectories(canary, mode: 0o755)
            var spec = bundle.spec("echo done")
            spec.mounts.append(.init(destination: "/volume", type: "bind", source: volume.string, options: ["bind"]))
            spec.linux.maskedPaths = ["/volume/one/file"]
            spec.linux.readonlyPaths = ["/volume/two"]
            let racer = try Racer(volume, "one", "two")
            try race(bundle, spec, racer) { (outcome: TestBundle.Outcome) throws in
                #expect(outcome.output == "done\n" || outcome.output.contains("is not covered after it was mounted"), "\(outcome.output)")
            }
            #expect(!mountedPaths().contains { $0.contains(volume.string) })
        }
    }

    @Test(
        "nothing can be put over procfs or into it, by whatever name",
        arguments: [
            "/proc/self/attr", "/proc/self/attr/exec", "/proc/thread-self", "/proc/sys", "/proc/1", "//proc//self/./attr", "/x/../proc/self",
            "/proc/self/fd", "/proc/sysrq-trigger",
        ])
    func overProcfs(destination: String) throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            let fake = bundle.directory.appending("fake")
            try makeDirectories(fake, mode: 0o755)
            for mount in [
                RuntimeSpec.Mount(destination: destination, type: "tmpfs", source: "tmpfs"),
                .init(destination: destination, type: "bind", source: fake.string, options: ["rbind"]),
            ] {
                var spec = bundle.spec("echo ran")
                spec.mounts.append(mount)
                let text = try bundle.refusal(spec)
                #expect(text.contains("inside /proc") || text.contains("error mounting"), "\(text)")
            }
        }
    }

    @Test("at /proc there is procfs or the container does not start, also by way of a link or a directory of the image")
    func fakeProcfs() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            let fake = bundle.directory.appending("fake")
            try makeDirectories(fake.appending("self/attr"), mode: 0o755)
            var spec = bundle.spec("echo ran")
            spec.mounts[0] = .init(destination: "/proc", type: "bind", source: fake.string, options: ["rbind"])
            #expect(try bundle.refusal(spec).contains("inside /proc"))
            spec.mounts[0] = .init(destination: "/proc", type: "tmpfs", source: "tmpfs")
            #expect(try bundle.refusal(spec).contains("inside /proc"))
            // The host's own may be bound: it is one.
            spec = bundle.spec("test -e /proc/sys/kernel/pid_max && echo fine")
            spec.mounts[0] = .init(destination: "/proc", type: "bind", source: "/proc", options: ["rbind"])
            spec.linux.maskedPaths = []
            #expect(try bundle.lines(spec) == ["fine"])
        }
    }

    @Test("masks and read-only paths hold against a link in their place and against the container's own root")
    func covered() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            _ = try bundle.write("secret\n", to: "rootfs/etc/secret")
            #expect(symlink("/etc/secret", bundle.rootfs.appending("etc/link").string) == 0)
            #expect(symlink("../../../../../../etc/hostname", bundle.rootfs.appending("etc/out").string) == 0)
            var spec = bundle.spec(
                "cat /etc/secret; umount /etc/secret 2>/dev/null && echo uncovered; (echo x > /etc/hosts) 2>/dev/null && echo written; echo end")
            _ = try bundle.write("", to: "rootfs/etc/hosts")
            spec.linux.maskedPaths = ["/etc/link", "/etc/out", "/proc/kcore"]
            spec.linux.readonlyPaths = ["/etc/hosts", "/no/such/path"]
            #expect(try bundle.lines(spec) == ["end"])
        }
    }

    @Test("the runtime's program cannot be written, by a container that waits for it to come in")
    func ownProgram() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            let before = try lstatIfExists(TestBundle.program)
            // The classic: be the program that an exec runs, and hold on to what ran before.
            let script = """
                while :; do for p in /proc/[0-9]*; do
                  case $p in /proc/1) continue;; esac
                  { echo overwritten >> $p/exe; } 2>/dev/null && echo won >> /won
                  ( exec 7< $p/exe; echo overwritten > /proc/self/fd/7 && echo won >> /won ) 2>/dev/null
                done; done
                """
            var spec = bundle.spec()
            spec.process.capabilities?.bounding += ["CAP_SYS_PTRACE"]
            spec.process.capabilities?.effective += ["CAP_SYS_PTRACE"]
            spec.process.capabilities?.permitted += ["CAP_SYS_PTRACE"]
            spec.process.args[2] = script
            spec.linux.resources?.pids = .init(limit: 500)
            try bundle.write(spec)
            #expect(try bundle.call(["run", "-d", "--bundle", bundle.directory.string, bundle.id]).code == 0)
            let end = Clock.now() + Self.seconds
            #expect(symlink("/proc/self/exe", bundle.rootfs.appending("bin/evil").string) == 0)
            while Clock.now() < end {
                #expect(try bundle.call(["exec", bundle.id, "true"]).code == 0)
                #expect(try bundle.call(["exec", bundle.id, "evil", "features"]).code == 255)
                #expect(try bundle.call(["exec", bundle.id, "/proc/self/exe"]).code == 255)
            }
            try bundle.killAndDelete()
            let won = try lstatIfExists(bundle.rootfs.appending("won"))
            // Programs of the image itself may be written, as busybox is: only they.
            let after = try lstatIfExists(TestBundle.program)
            #expect(before == after, "won: \(String(describing: won))")
        }
    }
}
