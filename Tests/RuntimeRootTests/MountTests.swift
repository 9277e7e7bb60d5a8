import Glibc
import Linux
import OCI
import SystemPackage
import Testing

@Suite("Mounts of a configuration", .enabled(if: getuid() == 0), .timeLimit(.minutes(1)))
struct MountTests {
    /// The options of a mount as the container sees them: mount point, per mount, propagation, per file system.
    private static func show(_ path: String) -> String { "awk '$5 == \"\(path)\"' /proc/self/mountinfo | cut -d' ' -f5-" }

    private func source(_ bundle: TestBundle) throws -> String {
        let path = bundle.directory.appending("source")
        try makeDirectories(path, mode: 0o755)
        chmod(path.string, 0o755)
        return path.string
    }

    @Test(
        "every attribute of a bind mount is there, and can be taken back", arguments: TestBundle.Runtime.installed,
        [("ro", "ro"), ("nosuid", "nosuid"), ("nodev", "nodev"), ("noexec", "noexec"), ("noatime", "noatime"), ("nodiratime", "nodiratime")])
    func attributes(runtime: TestBundle.Runtime, option: (name: String, shown: String)) throws {
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            var spec = bundle.spec(Self.show("/m"))
            spec.mounts.append(.init(destination: "/m", type: "bind", source: try source(bundle), options: ["bind", option.name]))
            let shown = try bundle.lines(spec)[0].split(separator: " ")[1].split(separator: ",").map(String.init)
            #expect(shown.contains(option.shown), "\(shown)")
        }
    }

    @Test("strictatime, nosymfollow and relatime hold for one mount")
    func accessTimes() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            for (option, expected) in [("strictatime", false), ("relatime", true), ("nosymfollow", true)] {
                var spec = bundle.spec(Self.show("/m"))
                spec.mounts.append(.init(destination: "/m", type: "bind", source: try source(bundle), options: ["bind", option]))
                let shown = try bundle.lines(spec)[0].split(separator: " ")[1].split(separator: ",").map(String.init)
                #expect(shown.contains(option == "strictatime" ? "relatime" : option) == expected, "\(option): \(shown)")
            }
        }
    }

    @Test("recursive attributes reach the mounts below, plain ones do not")
    func recursive() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            let source = try source(bundle)
            try makeDirectories(FilePath(source).appending("below"))
            try Mount.attach(
                try Mount.filesystem(type: "tmpfs"), to: try OwnedFD.open(FilePath(source).appending("below"), [.path, .directory]))
            defer { try? Mount.detach(FilePath(source).appending("below")) }  // The test ends with this mount.
            for (option, expected) in [("ro", "free"), ("rro", "closed")] {
                var spec = bundle.spec("touch /m/x 2>/dev/null && echo top; touch /m/below/x 2>/dev/null && echo free || echo closed")
                spec.mounts.append(.init(destination: "/m", type: "bind", source: source, options: ["rbind", option]))
                #expect(try bundle.lines(spec) == [expected], "\(option)")
            }
        }
    }

    @Test("options that the runtime does not know go to the file system, which may refuse them", arguments: TestBundle.Runtime.installed)
    func data(runtime: TestBundle.Runtime) throws {
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            var spec = bundle.spec(Self.show("/m") + "; stat -c %a:%u /m")
            spec.mounts.append(
                .init(destination: "/m", type: "tmpfs", source: "tmp", options: ["size=64k,nr_inodes=100", "mode=750", "uid=5", "sync"]))
            let lines = try bundle.lines(spec)
            #expect(lines[0].contains("size=64k") && lines[0].contains("nr_inodes=100") && lines[0].contains("sync"), "\(lines)")
            #expect(lines[1] == "750:5")
            spec.mounts[spec.mounts.count - 1].options = ["nonsense=1"]
            #expect(try bundle.run(spec).code == 1)
        }
    }

    @Test("remount changes a mount that is there, for bind mounts without touching the file system", arguments: TestBundle.Runtime.installed)
    func remount(runtime: TestBundle.Runtime) throws {
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            var spec = bundle.spec("(touch /m/x) 2>/dev/null || echo closed; touch \(runtime == .skiff ? "/n" : "/tmp")/x && echo open")
            spec.mounts += [
                .init(destination: "/m", type: "tmpfs", source: "tmp"),
                .init(destination: "/m", type: "tmpfs", source: "tmp", options: ["remount", "ro"]),
            ]
            if runtime == .skiff {
                spec.mounts += [
                    .init(destination: "/n", type: "bind", source: try source(bundle), options: ["bind", "ro"]),
                    .init(destination: "/n", type: "bind", source: "", options: ["remount", "bind", "rw", "noexec"]),
                ]
            }
            #expect(try bundle.lines(spec) == ["closed", "open"])
        }
    }

    @Test("tmpcopyup begins with what lay there, owners, modes, links and attributes alike", arguments: TestBundle.Runtime.installed)
    func copyUp(runtime: TestBundle.Runtime) throws {
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            let place = bundle.rootfs.appending("home")
            try makeDirectories(place.appending("deep"), mode: 0o755)
            _ = try bundle.write("kept\n", to: "rootfs/home/deep/file", mode: 0o640)
            chown(place.appending("deep/file").string, 5, 6)
            symlink("deep/file", place.appending("link").string)
            chmod(place.string, 0o711)
            var spec = bundle.spec("cat /home/link; stat -c %a:%u:%g /home/deep/file; echo new > /home/deep/file; stat -c %a /home")
            spec.process.capabilities?.effective += ["CAP_DAC_OVERRIDE"]
            spec.mounts.append(.init(destination: "/home", type: "tmpfs", source: "tmp", options: ["tmpcopyup"]))
            #expect(try bundle.lines(spec) == ["kept", "640:5:6", "711"])
            #expect(try bundle.read("rootfs/home/deep/file") == "kept\n")
        }
    }

    @Test("what does not fit into a tmpfs stops the start")
    func copyUpTooLarge() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            try makeDirectories(bundle.rootfs.appending("home"), mode: 0o755)
            _ = try bundle.write(String(repeating: "x", count: 100_000), to: "rootfs/home/file")
            var spec = bundle.spec("echo ran")
            spec.mounts.append(.init(destination: "/home", type: "tmpfs", source: "tmp", options: ["tmpcopyup", "size=16k", "ro"]))
            #expect(try bundle.refusal(spec).contains("No space left"))
        }
    }

    @Test("owners are shown through a table of the mount's own, or that of the container, recursively where asked")
    func mapped() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            let source = FilePath(try source(bundle))
            _ = try bundle.write("", to: "source/file")
            chown(source.appending("file").string, 1000, 1000)
            try makeDirectories(source.appending("below"), mode: 0o755)
            let below = try Mount.filesystem(type: "tmpfs")
            try Mount.attach(below, to: try OwnedFD.open(source.appending("below"), [.path, .directory]))
            defer { try? Mount.detach(source.appending("below")) }  // The test ends with this mount.
            chmod(source.appending("below").string, 0o777)
            _ = try bundle.write("", to: "source/below/file")
            chown(source.appending("below/file").string, 1000, 1000)

            let table: [RuntimeSpec.IDMapping] = [.init(containerID: 1000, hostID: 5000, size: 10)]
            var spec = bundle.spec("stat -c %u:%g /m/file /m/below/file")
            var mount = RuntimeSpec.Mount(
                destination: "/m", type: "bind", source: source.string, options: ["rbind", "idmap"], uidMappings: table, gidMappings: table)
            spec.mounts.append(mount)
            #expect(try bundle.lines(spec) == ["5000:5000", "1000:1000"])
            mount.options = ["rbind", "ridmap"]
            spec.mounts[spec.mounts.count - 1] = mount
            #expect(try bundle.lines(spec) == ["5000:5000", "5000:5000"])
            mount.options = ["rbind"]
            spec.mounts[spec.mounts.count - 1] = mount
            #expect(try bundle.lines(spec)[0] == "5000:5000")

            mount = .init(destination: "/m", type: "bind", source: source.string, options: ["bind", "idmap"])
            spec.mounts[spec.mounts.count - 1] = mount
            #expect(try bundle.refusal(spec).contains("idmap needs uidMappings"))
            spec.mapUsers()
            spec.process.args[2] = "stat -c %u:%g /m/file"
            #expect(try bundle.lines(spec) == ["1000:1000"])
        }
    }

    @Test("with a namespace of users, files that are written through a mapped mount belong to the plain user outside")
    func mappedWrites() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            let source = FilePath(try source(bundle))
            chmod(source.string, 0o777)
            try makeDirectories(bundle.rootfs.appending("m"), mode: 0o755)
            var spec = bundle.spec("touch /m/made; stat -c %u /m/made")
            spec.mapUsers()
            spec.mounts.append(.init(destination: "/m", type: "bind", source: source.string, options: ["bind", "idmap"]))
            #expect(try bundle.lines(spec) == ["0"])
            #expect(try lstatIfExists(source.appending("made"))?.uid == 0)
        }
    }

    @Test("propagation of a mount and of the root is as asked", arguments: ["shared", "slave", "private", "unbindable", "rshared", "rprivate"])
    func propagation(word: String) throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec(Self.show("/m") + "; " + Self.show("/"))
            spec.linux.rootfsPropagation = word
            spec.mounts.append(.init(destination: "/m", type: "tmpfs", source: "tmp", options: [word]))
            let lines = try bundle.lines(spec)
            let wanted =
                switch word {
                case "shared", "rshared": "shared:"
                case "unbindable": "unbindable"
                default: ""
                }
            for line in lines {
                let fields = line.split(separator: " - ")[0]
                #expect(wanted.isEmpty ? !fields.contains("shared:") : fields.contains(wanted), "\(line)")
            }
        }
    }

    @Test("a mount that shares comes to the host, one that does not stays inside")
    func spreading() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            let source = FilePath(try source(bundle))
            let tmpfs = try Mount.filesystem(type: "tmpfs")
            try Mount.setAttributes(tmpfs, propagation: .shared)
            try Mount.attach(tmpfs, to: try OwnedFD.open(source, [.path, .directory]))
            defer { try? Mount.detach(source) }  // The test ends with this mount.
            try makeDirectories(source.appending("inner"))
            for (word, expected) in [("rslave", 0), ("rshared", 1)] {
                var spec = bundle.spec("mount -t tmpfs inner /m/inner && sleep 0; true")
                spec.process.capabilities = .init(
                    bounding: ["CAP_SYS_ADMIN"], effective: ["CAP_SYS_ADMIN"], permitted: ["CAP_SYS_ADMIN"])
                spec.mounts.append(.init(destination: "/m", type: "bind", source: source.string, options: ["rbind", word]))
                #expect(try bundle.run(spec).code == 0)
                #expect(mountedPaths().filter { $0.contains("\(source.string)/inner ") }.count == expected, "\(word)")
                if expected == 1 { try Mount.detach(source.appending("inner")) }
            }
        }
    }

    @Test("a file onto a directory and a directory onto a file are told as such", arguments: TestBundle.Runtime.installed)
    func kinds(runtime: TestBundle.Runtime) throws {
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            for (source, destination) in [("/etc/passwd", "/tmp"), ("/etc", "/bin/busybox")] {
                var spec = bundle.spec("echo ran")
                spec.mounts.append(.init(destination: destination, type: "bind", source: source, options: ["bind"]))
                #expect(try bundle.refusal(spec).lowercased().contains("not a directory"))
            }
        }
    }

    @Test("the cgroup of a container is all that it sees of cgroups")
    func cgroup() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            let outcome = try bundle.lines(
                bundle.spec("ls /sys/fs/cgroup | grep -c .; cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; true"))
            #expect(outcome.count == 2 && outcome[1] == "50", "\(outcome)")
        }
    }
}
