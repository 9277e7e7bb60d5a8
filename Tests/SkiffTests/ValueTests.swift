import DockerAPI
import FoundationEssentials
import Testing

@testable import SkiffCommands

@Suite("values on the command line")
struct ValueTests {
    @Test(
        "rates are bits with powers of 1000, or bytes as everywhere",
        arguments: [
            ("10mbit", 1_250_000), ("1.5Gbit", 187_500_000), ("8bit", 1), ("64kbit", 8000), ("1m", 1 << 20), ("500", 500), ("0", 0), ("0mbit", 0),
        ])
    func rates(text: String, bytes: Int64) throws {
        #expect(try byteRate(text) == bytes)
    }

    @Test("what is no rate is refused", arguments: ["", "bit", "mbit", "-1mbit", "1xbit", "1bit", "9999999999tbit", "nanbit", "10mbps"])
    func noRates(text: String) {
        #expect(throws: FlagValueError.self) { try byteRate(text) }
    }

    @Test(
        "sizes", arguments: [("512", 512), ("64k", 65536), ("1.5g", 1_610_612_736), ("1GiB", 1 << 30), ("2mb", 2 << 20), ("7b", 7)])
    func sizes(text: String, bytes: Int64) throws {
        #expect(try byteCount(text) == bytes)
    }

    @Test("what is no size is refused", arguments: ["", "abc", "-1", "1x", "g"])
    func badSizes(text: String) {
        #expect(throws: FlagValueError.self) { try byteCount(text) }
    }

    @Test("processors and durations")
    func numbers() throws {
        #expect(try nanoProcessors("1.5") == 1_500_000_000)
        #expect(try nanoProcessors(".25") == 250_000_000)
        #expect(throws: FlagValueError.self) { try nanoProcessors("x") }
        #expect(try nanoseconds("1h30m") == 5_400_000_000_000)
        #expect(try nanoseconds("1.5s") == 1_500_000_000)
        #expect(try nanoseconds("500ms") == 500_000_000)
        #expect(throws: FlagValueError.self) { try nanoseconds("10") }
    }

    @Test("ports in all their forms")
    func ports() throws {
        let ports = try PortFlags(
            publish: ["8080:80", "127.0.0.1:53:53/udp", "[::1]::443", "9000-9001:90-91", "7"], expose: ["100-101"])
        func places(_ port: String) -> [String] {
            ((ports.bindings[port] ?? nil) ?? []).map { "\($0.HostIp ?? "")|\($0.HostPort ?? "")" }
        }
        #expect(places("80/tcp") == ["|8080"])
        #expect(places("53/udp") == ["127.0.0.1|53"])
        #expect(places("443/tcp") == ["::1|"])
        #expect(places("91/tcp") == ["|9001"])
        #expect(places("7/tcp") == ["|"])
        #expect(ports.exposed.keys.contains("101/tcp"))
        #expect(throws: UsageError("invalid containerPort: abc")) { try PortFlags(publish: ["abc"], expose: []) }
        #expect(throws: UsageError("invalid hostPort: x")) { try PortFlags(publish: ["x:80"], expose: []) }
        #expect(throws: UsageError.self) { try PortFlags(publish: ["1-2:1-3"], expose: []) }
    }

    @Test("mounts described by keys")
    func mounts() throws {
        let mount = try MountFlag.parse("type=bind,source=./x,\"target=/a,b\",readonly,bind-propagation=rslave", workingDirectory: "/w")
        #expect(mount.Type == "bind")
        #expect(mount.Source == "/w/x")
        #expect(mount.Target == "/a,b")
        #expect(mount.ReadOnly == true)
        #expect(mount.BindOptions?.Propagation == "rslave")
        let tmpfs = try MountFlag.parse("type=tmpfs,dst=/t,tmpfs-size=64m,tmpfs-mode=1770", workingDirectory: "/")
        #expect(tmpfs.TmpfsOptions?.SizeBytes == 64 << 20)
        #expect(tmpfs.TmpfsOptions?.Mode == 0o1770)
        #expect(throws: UsageError("target is required")) { try MountFlag.parse("type=bind,src=/a", workingDirectory: "/") }
        #expect(throws: UsageError("invalid field 'foo' must be a key=value pair")) {
            try MountFlag.parse("foo", workingDirectory: "/")
        }
        #expect(throws: UsageError("unexpected key 'x' in 'x=y'")) { try MountFlag.parse("x=y,target=/a", workingDirectory: "/") }
    }

    @Test("volumes")
    func volumes() throws {
        #expect(try VolumeFlag("/data", workingDirectory: "/w") == .anonymous(target: "/data"))
        #expect(try VolumeFlag("name:/data:ro", workingDirectory: "/w") == .bind("name:/data:ro"))
        #expect(try VolumeFlag("./a/../b:/data", workingDirectory: "/w") == .bind("/w/b:/data"))
        #expect(throws: UsageError.self) { try VolumeFlag("a::b", workingDirectory: "/") }
    }

    @Test("files with variables: comments are skipped, nothing is unquoted, a bare name takes the client's value")
    func environmentFiles() throws {
        let lines = try EnvironmentList.lines("# c\n\nA=b c\n  B=\"q\"\r\nHOME\nNONE\n", file: "f")
        #expect(lines == ["A=b c", "B=\"q\"", "HOME", "NONE"])
        #expect(EnvironmentList.resolve(lines, environment: ["HOME": "/r"]) == ["A=b c", "B=\"q\"", "HOME=/r"])
        #expect(throws: UsageError("invalid env file (f): variable 'A B' contains whitespaces")) {
            try EnvironmentList.lines("A B=c", file: "f")
        }
    }

    @Test("restart policies, limits and devices")
    func small() throws {
        let policy = try HostRequest.restartPolicy("on-failure:3")
        #expect(policy.Name == "on-failure" && policy.MaximumRetryCount == 3)
        let limit = try HostRequest.ulimit("nofile=10:20")
        #expect(limit.Soft == 10 && limit.Hard == 20)
        #expect(throws: FlagValueError.self) { try HostRequest.ulimit("nofile") }
        #expect(try HostRequest.device("/dev/a").PathInContainer == "/dev/a")
        #expect(try HostRequest.device("/dev/a:/dev/b:r").CgroupPermissions == "r")
        #expect(try HostRequest.device("/dev/a:rw").CgroupPermissions == "rw")
    }

    @Test("names of images")
    func images() {
        #expect(ImageName.tagged("debian") == "debian:latest")
        #expect(ImageName.tagged("reg:5000/a") == "reg:5000/a:latest")
        #expect(ImageName.tagged("a:1") == "a:1")
        #expect(ImageName.split("reg:5000/a:1").tag == "1")
        #expect(ImageName.split("a@sha256:ff").tag == "sha256:ff")
    }

    @Test("the keys that leave a container")
    func detachKeys() throws {
        var keys = try DetachKeys("")
        keys.see([0x10, 0x61, 0x10])
        #expect(!keys.wereTyped)
        keys.see([0x11])
        #expect(keys.wereTyped)
        var letters = try DetachKeys("ctrl-a,b")
        letters.see([1, 1, 0x62])
        #expect(letters.wereTyped)
        #expect(throws: UsageError.self) { try DetachKeys("ctrl-1") }
    }

    @Test("moments are durations before now, times, or seconds")
    func moments() throws {
        let now = Date(timeIntervalSince1970: 1000)
        #expect(try Moment.query("42") == "42")
        #expect(try Moment.query("10s", now: now) == "990.000000000")
        #expect(try Moment.query("1970-01-01T00:01:00Z") == "60.000000000")
        #expect(try Moment.query("1970-01-01T02:00:00+02:00") == "0.000000000")
        #expect(try Moment.query("1970-01-02") == "86400.000000000")
    }

    @Test("both sides of cp")
    func copyTargets() throws {
        #expect(CopyPlace("c:/a") == .container(name: "c", path: "/a"))
        #expect(CopyPlace("./c:/a") == .local("./c:/a"))
        #expect(CopyPlace("-") == .standardStream)
        func target(_ source: String, _ isDirectory: Bool, _ path: String, _ existing: CopyTarget.Existing) throws -> String {
            let target = try CopyTarget(
                source: CopyPath(source), sourceIsDirectory: isDirectory, target: CopyPath(path), existing: existing)
            return "\(target.directory)|\(target.name ?? "*")"
        }
        #expect(try target("/etc/hosts", false, "/tmp", .directory) == "/tmp|hosts")
        #expect(try target("/etc/hosts", false, "/tmp/h", .nothing) == "/tmp|h")
        #expect(try target("/etc", true, "/tmp/x", .nothing) == "/tmp|x")
        #expect(try target("/etc/.", true, "/tmp", .directory) == "/tmp|*")
        #expect(try target("/etc", true, "/tmp", .directory) == "/tmp|etc")
        #expect(throws: CommandFailure.self) { try target("/etc", true, "/tmp/f", .file) }
        #expect(throws: CommandFailure.self) { try target("/etc/hosts", false, "/tmp/no/", .nothing) }
    }

    @Test("limits of devices")
    func deviceLimits() throws {
        #expect(try DeviceLimitFlag.bytes("/dev/sda:1mb").Rate == 1 << 20)
        #expect(try DeviceLimitFlag.operations("/dev/sda:100").Path == "/dev/sda")
        #expect(try DeviceLimitFlag.weight("/dev/sda:500").Weight == 500)
        for (text, message) in [
            ("x", "bad format: x"), ("/x:1", "bad format for device path: /x:1"), ("/dev/a:5", "invalid weight for device: /dev/a:5"),
        ] {
            let error = #expect(throws: FlagValueError.self) { try DeviceLimitFlag.weight(text) }
            #expect(error?.message == message)
        }
        #expect(throws: FlagValueError.self) { try DeviceLimitFlag.operations("/dev/a:-1") }
        #expect(throws: FlagValueError.self) { try DeviceLimitFlag.bytes("/dev/a:much") }
        #expect(DeviceLimitFlag.isCgroupRule("c 189:* rwm"))
        #expect(!DeviceLimitFlag.isCgroupRule("c 189 rwm"))
    }

    @Test("devices that the engine finds")
    func deviceRequests() throws {
        #expect(try DeviceRequestFlag.gpus("all").Count == -1)
        #expect(try DeviceRequestFlag.gpus("2").Capabilities == [["gpu"]])
        let full = try DeviceRequestFlag.gpus("driver=nvidia,\"device=0,1\",\"capabilities=compute,utility\",options=a=b")
        #expect((full.Driver, full.Count, full.DeviceIDs) == ("nvidia", nil, ["0", "1"]))
        #expect(full.Capabilities == [["gpu", "compute", "utility"]])
        #expect(full.Options == ["a": "b"])
        for text in ["x", "count=1,2", "foo=1", "count=1.5"] { #expect(throws: FlagValueError.self) { try DeviceRequestFlag.gpus(text) } }
        let split = DeviceRequestFlag.split(["/dev/null:/dev/a=b", "acme.com/gpu=0", "/dev/zero"])
        #expect(split.named?.DeviceIDs == ["acme.com/gpu=0"])
        #expect(split.paths == ["/dev/null:/dev/a=b", "/dev/zero"])
    }

    @Test("binds that are read-only all the way down, or not")
    func recursion() throws {
        let prefix = "type=bind,src=/a,dst=/b,"
        #expect(try MountFlag.parse(prefix + "ro,bind-recursive=writable", workingDirectory: "/").BindOptions?.ReadOnlyNonRecursive == true)
        #expect(throws: UsageError("option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction")) {
            try MountFlag.parse(prefix + "bind-recursive=writable", workingDirectory: "/")
        }
        #expect(throws: UsageError("option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction")) {
            try MountFlag.parse(prefix + "ro,bind-recursive=readonly", workingDirectory: "/")
        }
    }
}
