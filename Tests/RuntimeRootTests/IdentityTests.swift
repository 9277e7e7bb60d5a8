import Glibc
import Linux
import OCI
import SystemPackage
import Testing

@Suite("Who the process is", .enabled(if: getuid() == 0), .timeLimit(.minutes(1)))
struct IdentityTests {
    private static let show = "grep -E '^(Uid|Gid|Groups|Cap|NoNew)' /proc/self/status"

    private func status(_ outcome: TestBundle.Outcome) -> [String: String] {
        var fields: [String: String] = [:]
        for line in outcome.lines {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2 { fields[String(parts[0])] = parts[1].split(whereSeparator: \.isWhitespace).joined(separator: " ") }
        }
        return fields
    }

    /// The bits of `TestBundle.capabilities`.
    private let wanted = "00000000000004e3"
    private let none = "0000000000000000"

    @Test("root has exactly the capabilities and groups that were asked for, inheritable none")
    func root() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            try bundle.startSleeping(bundle.spec())
            let first = status(try bundle.call(["exec", bundle.id, "sh", "-c", "cat /proc/1/status | grep -E '^(Uid|Gid|Groups|Cap)'"]))
            let exec = status(try bundle.call(["exec", bundle.id, "sh", "-c", Self.show]))
            for fields in [first, exec] {
                #expect(fields["CapInh"] == none && fields["CapAmb"] == none)
                #expect(fields["CapPrm"] == wanted && fields["CapEff"] == wanted && fields["CapBnd"] == wanted)
                #expect(fields["Uid"] == "0 0 0 0" && fields["Groups"] ?? "" == "")
            }
        }
    }

    @Test("another user has no capabilities, except those given as ambient, and exactly its groups")
    func user() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec(Self.show)
            spec.process.user = .init(uid: 1000, gid: 1001, additionalGids: [7, 4_294_967_294])
            let plain = status(try bundle.run(spec))
            #expect(plain["Uid"] == "1000 1000 1000 1000" && plain["Gid"] == "1001 1001 1001 1001")
            #expect(plain["Groups"] == "7 4294967294")
            #expect(plain["CapPrm"] == none && plain["CapEff"] == none && plain["CapAmb"] == none && plain["CapBnd"] == wanted)
            spec.process.capabilities?.ambient = ["CAP_NET_BIND_SERVICE"]
            spec.process.capabilities?.inheritable = ["CAP_NET_BIND_SERVICE"]
            let ambient = status(try bundle.run(spec))
            #expect(ambient["CapAmb"] == "0000000000000400" && ambient["CapEff"] == "0000000000000400")
            spec.process.noNewPrivileges = true
            #expect(status(try bundle.run(spec))["NoNewPrivs"] == "1")
        }
    }

    @Test("without capabilities there are none; an exec that names none has the container's", arguments: TestBundle.Runtime.installed)
    func inherited(runtime: TestBundle.Runtime) throws {
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            var spec = bundle.spec(Self.show)
            spec.process.capabilities = nil
            let fields = status(try bundle.run(spec))
            for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] { #expect(fields[name] == none, "\(name)") }
            try bundle.startSleeping(bundle.spec())
            let process = RuntimeSpec.Process(args: ["sh", "-c", Self.show], env: ["PATH=/bin"])
            let file = try bundle.write(String(decoding: process.json().serialized(), as: UTF8.self), to: "process.json")
            let exec = status(try bundle.call(["exec", "--process", file.string, bundle.id]))
            #expect(exec["CapEff"] == wanted && exec["CapBnd"] == wanted && exec["CapInh"] == none, "\(exec)")
        }
    }

    @Test("ids that are none are errors", arguments: ["4294967296", "-1", "\"0\"", "1e3", "0x0", "1.5"])
    func wrongIDs(text: String) throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            let json = String(decoding: bundle.spec("id").json().serialized(), as: UTF8.self)
            let changed = json.replacingFirst("\"uid\":0", with: "\"uid\":\(text)")
            #expect(changed != json)
            try bundle.write(Array(changed.utf8))
            let outcome = try bundle.call(["run", "--bundle", bundle.directory.string, bundle.id])
            #expect(outcome.code == 1 && !outcome.output.contains("uid="), "\(outcome.output)")
            try bundle.startSleeping(bundle.spec())
            let exec = try bundle.call(["exec", "--user", text, bundle.id, "id"])
            #expect(exec.code != 0 && !exec.output.contains("uid="), "\(exec.output)")
        }
    }

    @Test("HOME comes from the container's passwd, which cannot hold anybody up")
    func home() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            let passwd = bundle.rootfs.appending("etc/passwd")
            func home() throws -> String { try bundle.run(bundle.spec("echo $HOME")).output }
            #expect(try home() == "/\n")
            try writeAtomically(Array("x:x:5:5::/five:\nroot:x:0:0:root:/root:/bin/sh\n".utf8), to: passwd, sync: false)
            #expect(try home() == "/root\n")
            unlink(passwd.string)
            #expect(mkfifo(passwd.string, 0o644) == 0)
            #expect(try home() == "/\n")
            unlink(passwd.string)
            symlink("/dev/zero", passwd.string)
            #expect(try home() == "/\n")
            unlink(passwd.string)
            let large = try OwnedFD.open(passwd, [.writeOnly, .create])
            #expect(ftruncate(large.raw, 10 << 30) == 0)
            #expect(try home() == "/\n")
        }
    }

    @Test("limits, umask and the score for the lack of memory are set")
    func settings() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec("umask; ulimit -n; ulimit -Hc; cat /proc/self/oom_score_adj")
            spec.process.user.umask = 0o027
            spec.process.rlimits = [
                .init(type: "RLIMIT_NOFILE", soft: 100, hard: 200), .init(type: "RLIMIT_CORE", soft: 0, hard: 0),
            ]
            spec.process.oomScoreAdj = 500
            let outcome = try bundle.run(spec)
            #expect(outcome.lines == ["0027", "100", "0", "500"], "\(outcome.output)")
        }
    }

    @Test("a user namespace maps root to somebody else")
    func userNamespace() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec("id -u; cat /proc/self/uid_map; echo x > /dev/null && stat -c %u /proc/1; hostname")
            spec.linux.namespaces.append(.init(type: .user))
            spec.linux.uidMappings = [.init(containerID: 0, hostID: 100_000, size: 1000)]
            spec.linux.gidMappings = [.init(containerID: 0, hostID: 100_000, size: 1000)]
            let outcome = try bundle.run(spec)
            let words = outcome.output.split(whereSeparator: \.isWhitespace).map(String.init)
            #expect(words == ["0", "0", "100000", "1000", "0", "skiff-test"], "\(outcome.output)")
        }
    }
}

extension String {
    func replacingFirst(_ text: String, with other: String) -> String {
        let (all, wanted) = (Array(utf8), Array(text.utf8))
        guard let start = all.indices.first(where: { all[$0...].starts(with: wanted) }) else { return self }
        return String(decoding: all[..<start] + Array(other.utf8) + all[(start + wanted.count)...], as: UTF8.self)
    }
}
