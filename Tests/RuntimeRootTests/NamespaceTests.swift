import Glibc
import Linux
import OCI
import SystemPackage
import Testing

@Suite("Namespaces that are made and joined", .enabled(if: getuid() == 0), .timeLimit(.minutes(30)))
struct NamespaceTests {
    private static let show = "for n in user mnt pid net ipc uts cgroup time; do readlink /proc/self/ns/$n; done"

    /// Starts a container that sleeps, gives the paths of its namespaces to a second one, and compares.
    private func join(_ runtime: TestBundle.Runtime, _ kinds: [RuntimeSpec.Namespace.Kind], users: Bool) throws {
        try TestBundle.with { (owner: TestBundle) throws in
            var spec = owner.spec()
            if users { spec.mapUsers() }
            spec.linux.namespaces.append(.init(type: .time))
            try owner.startSleeping(spec)
            let pid = try #require(try owner.state()["pid"]?.integer)
            let theirs = try Self.namespaces(of: pid)
            try TestBundle.with(runtime) { (bundle: TestBundle) throws in
                var spec = bundle.spec(Self.show + "; id -u; cat /proc/self/uid_map")
                spec.hostname = nil
                if users {
                    // Of no use with a path; runc 1.1 wants them nevertheless.
                    spec.mapUsers()
                }
                for kind in kinds {
                    spec.linux.namespaces.removeAll { $0.type == kind }
                    spec.linux.namespaces.append(.init(type: kind, path: "/proc/\(pid)/ns/\(Self.file(kind))"))
                }
                let lines = try bundle.lines(spec)
                for (name, inside) in zip(Self.names, lines) where kinds.contains(where: { Self.file($0) == name }) {
                    #expect(inside == theirs[name], "\(name)")
                }
                if users { #expect(lines.suffix(2).map(Self.words) == [["0"], ["0", "100000", "65536"]], "\(lines)") }
            }
        }
    }

    @Test("a network namespace is made beside the caller, once, and leaves no task")
    func network() throws {
        let own = try NetworkNamespace.current()
        let children = try Self.children()
        let ahead = try #require(NetworkNamespaceAhead())
        let made = try #require(Self.taken(ahead))
        #expect(try !NetworkNamespace.areSame(made.raw, own.raw))
        #expect(Self.taken(ahead)?.raw == nil)
        // Not taken: it goes with the object.
        do { _ = try #require(NetworkNamespaceAhead()) }
        #expect(try Self.children() == children)
    }

    private static func taken(_ ahead: NetworkNamespaceAhead) -> SharedFD? {
        guard let namespace = ahead.take() else { return nil }
        return SharedFD(namespace)
    }

    private static func children() throws -> [UInt8] {
        try OwnedFD.open("/proc/thread-self/children", .readOnly).readAll(limit: 4096)
    }

    private static let names = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"]

    private static func words(_ line: String) -> [String] { line.split(whereSeparator: \.isWhitespace).map(String.init) }

    private static func file(_ kind: RuntimeSpec.Namespace.Kind) -> String {
        switch kind {
        case .mount: "mnt"
        case .network: "net"
        default: kind.rawValue
        }
    }

    private static func namespaces(of pid: Int64) throws -> [String: String] {
        var result: [String: String] = [:]
        for name in names {
            var buffer = [CChar](repeating: 0, count: 100)
            readlink("/proc/\(pid)/ns/\(name)", &buffer, 99)
            result[name] = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        }
        return result
    }

    @Test("every kind can be joined by its path", arguments: [RuntimeSpec.Namespace.Kind.network, .pid, .ipc, .uts, .cgroup, .time])
    func one(kind: RuntimeSpec.Namespace.Kind) throws {
        try join(.skiff, [kind], users: false)
    }

    @Test("a namespace of users can be joined, alone and with those that it owns", arguments: TestBundle.Runtime.installed)
    func users(runtime: TestBundle.Runtime) throws {
        try join(runtime, [.user], users: true)
        try join(runtime, [.user, .network, .ipc, .uts], users: true)
    }

    @Test("with a new namespace of users those of the host can still be joined", arguments: TestBundle.Runtime.installed)
    func newUsersInOldNetwork(runtime: TestBundle.Runtime) throws {
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            let own = try OwnedFD.open("/proc/self/ns/net", .readOnly)
            let inode = try fstat(own).inode
            var spec = bundle.spec("readlink /proc/self/ns/net; id -u")
            spec.mapUsers()
            spec.mounts.removeAll { $0.type == "sysfs" || $0.destination.hasPrefix("/sys/") }
            spec.linux.namespaces.removeAll { $0.type == .network }
            spec.linux.namespaces.append(.init(type: .network, path: "/proc/\(getpid())/ns/net"))
            #expect(try bundle.lines(spec) == ["net:[\(inode)]", "0"])
        }
    }

    @Test("an exec joins all of them, also the namespace of users")
    func exec() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec()
            spec.mapUsers()
            spec.linux.namespaces.append(.init(type: .time))
            try bundle.startSleeping(spec)
            let pid = try #require(try bundle.state()["pid"]?.integer)
            let theirs = try Self.namespaces(of: pid)
            let outcome = try bundle.call(["exec", bundle.id, "sh", "-c", Self.show + "; id -u; ls /proc | grep -c '^[0-9]'"])
            #expect(outcome.lines.prefix(8).map { $0 } == Self.names.map { theirs[$0] ?? "" }, "\(outcome.output)")
            #expect(outcome.lines[8] == "0")
            let user = try bundle.call(["exec", "--user", "7:8", bundle.id, "id"])
            #expect(user.output.hasPrefix("uid=7 gid=8"), "\(user.output)")
        }
    }

    @Test("clocks of a new time namespace are ahead by what is asked")
    func time() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec("cut -d. -f1 /proc/uptime; cat /proc/self/timens_offsets")
            spec.linux.namespaces.append(.init(type: .time))
            spec.linux.timeOffsets = .init(boottime: .init(seconds: 1_000_000), monotonic: .init(seconds: 5, nanoseconds: 7))
            let lines = try bundle.lines(spec)
            #expect((Int(lines[0]) ?? 0) > 1_000_000)
            #expect(lines[1...].map { $0.split(whereSeparator: \.isWhitespace).joined(separator: " ") } == ["monotonic 5 7", "boottime 1000000 0"])
            spec.linux.timeOffsets = .init(monotonic: .init(seconds: 0, nanoseconds: 2_000_000_000))
            #expect(try bundle.run(spec).output.contains("unable to set timeOffsets"))
        }
    }

    @Test("a container has a mount namespace of its own")
    func ownMounts() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec("echo ran")
            spec.linux.namespaces.removeAll { $0.type == .mount }
            #expect(try bundle.refusal(spec).contains("a container without a mount namespace of its own is not supported"))
            spec.linux.namespaces.append(.init(type: .mount, path: "/proc/\(getpid())/ns/mnt"))
            #expect(try bundle.refusal(spec).contains("is the runtime's own"))
        }
    }

    @Test("a mount namespace can be joined: the container's root becomes that of everybody in it", arguments: TestBundle.Runtime.installed)
    func joinedMounts(runtime: TestBundle.Runtime) throws {
        try openPipe { reading, writing in
            let null = try OwnedFD.open("/dev/null", .readWrite)
            let holder = try spawn(
                "/usr/bin/unshare", arguments: ["-m", "--propagation", "private", "sh", "-c", "echo; exec sleep 600"],
                environment: ["PATH=/usr/bin:/bin"], descriptors: [null.raw, writing.raw, null.raw])
            defer {
                kill(holder, SIGKILL)
                _ = try? reap(holder)
            }
            var byte = [UInt8](repeating: 0, count: 1)
            #expect(try byte.withUnsafeMutableBytes { try reading.read(into: $0) } == 1)
            #expect(access("/proc/\(holder)/root/usr", F_OK) == 0)
            let theirs = try Self.namespaces(of: Int64(holder))
            try TestBundle.with(runtime) { (bundle: TestBundle) throws in
                var spec = bundle.spec("readlink /proc/self/ns/mnt; ls -d /proc/self /usr; true")
                spec.linux.namespaces.removeAll { $0.type == .mount }
                spec.linux.namespaces.append(.init(type: .mount, path: "/proc/\(holder)/ns/mnt"))
                let lines = try bundle.lines(spec)
                #expect(lines.first == theirs["mnt"] && lines.contains("/proc/self") && !lines.contains("/usr"), "\(lines)")
                #expect(access("/proc/\(holder)/root/usr", F_OK) == -1 && access("/proc/\(holder)/root/bin/busybox", F_OK) == 0)
                #expect(access("/usr", F_OK) == 0)
            }
        }
    }

    @Test("an exec runs on the processors that are asked for, the first process wherever it may")
    func affinity() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec()
            spec.process.execCPUAffinity = .init(initial: "0", final: "0")
            try bundle.startSleeping(spec)
            let allowed = "grep Cpus_allowed_list /proc/%/status | cut -f2"
            func cpus(_ pid: String) throws -> String {
                try bundle.call(["exec", bundle.id, "sh", "-c", allowed.replacingFirst("%", with: pid)]).output
            }
            #expect(try cpus("self") == "0\n")
            if sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1 { #expect(try cpus("1") != "0\n") }
            let process = RuntimeSpec.Process(
                args: ["sh", "-c", allowed.replacingFirst("%", with: "self")], env: ["PATH=/bin"],
                execCPUAffinity: .init(initial: "0"))
            let file = try bundle.write(String(decoding: process.json().serialized(), as: UTF8.self), to: "process.json")
            #expect(try bundle.call(["exec", "--process", file.string, bundle.id]).output == "0\n")
        }
    }
}

extension RuntimeSpec {
    /// A new namespace of users whose root is nobody outside.
    mutating func mapUsers() {
        linux.namespaces.append(.init(type: .user))
        linux.uidMappings = [.init(containerID: 0, hostID: 100_000, size: 65536)]
        linux.gidMappings = [.init(containerID: 0, hostID: 100_000, size: 65536)]
    }
}
