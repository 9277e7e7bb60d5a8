import Glibc
import Linux
import OCI
import SystemPackage
import Testing

@Suite("Devices of a container", .enabled(if: getuid() == 0), .timeLimit(.minutes(1)))
struct DeviceTests {
    private static let devices: [RuntimeSpec.Device] = [
        .init(path: "/dev/one", type: "c", major: 1, minor: 3, fileMode: 0o640, uid: 5, gid: 6),
        .init(path: "/dev/two", type: "u", major: 1, minor: 5, fileMode: 0o600),
        .init(path: "/deep/er/three", type: "b", major: 7, minor: 9, fileMode: 0o660),
        .init(path: "/dev/four", type: "p", fileMode: 0o622, uid: 7),
    ]

    @Test("nodes of every type have their numbers, modes and owners", arguments: TestBundle.Runtime.installed)
    func nodes(runtime: TestBundle.Runtime) throws {
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            var spec = bundle.spec("stat -c '%F %t:%T %a %u:%g' /dev/one /dev/two /deep/er/three /dev/four")
            spec.linux.devices = Self.devices
            #expect(
                try bundle.lines(spec) == [
                    "character special file 1:3 640 5:6", "character special file 1:5 600 0:0", "block special file 7:9 660 0:0",
                    "fifo 0:0 622 7:0",
                ])
        }
    }

    @Test("the devices that every program expects are there, and the links", arguments: TestBundle.Runtime.installed)
    func usual(runtime: TestBundle.Runtime) throws {
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            let names = "null zero full random urandom tty"
            let spec = bundle.spec(
                "cd /dev; stat -c '%t:%T %a' \(names); for l in fd stdin stdout stderr ptmx; do readlink $l; done; echo x > null && head -c 3 zero | wc -c"
            )
            #expect(
                try bundle.lines(spec) == [
                    "1:3 666", "1:5 666", "1:7 666", "1:8 666", "1:9 666", "5:0 666", "/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1",
                    "/proc/self/fd/2", "pts/ptmx", "3",
                ])
        }
    }

    @Test("in a namespace of users the host's devices are bound, if they are those that are meant; pipes are made")
    func users() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec("stat -c '%t:%T' /dev/null /dev/zero /dev/mem0; stat -c %F /dev/pipe; head -c 2 /dev/mem0 | wc -c")
            spec.mapUsers()
            spec.linux.devices = [.init(path: "/dev/pipe", type: "p", fileMode: 0o600)]
            let zero = "/dev/skiff-\(bundle.id)"
            #expect(mknod(zero, S_IFCHR | 0o666, makedev(1, 5)) == 0)
            defer { unlink(zero) }
            chmod(zero, 0o666)
            spec.linux.devices.append(.init(path: zero, type: "c", major: 1, minor: 5))
            spec.process.args[2] = spec.process.args[2].replacingFirst("/dev/mem0", with: zero).replacingFirst("/dev/mem0", with: zero)
            #expect(try bundle.lines(spec) == ["1:3", "1:5", "1:5", "fifo", "2"])
            spec.linux.devices[1].minor = 7
            #expect(try bundle.refusal(spec).contains("is not the device c 1:7"))
            spec.linux.devices[1].path = "/dev/no-such-device"
            #expect(try bundle.refusal(spec).contains("/dev/no-such-device"))
        }
    }

    @Test("device types that are none are refused by their path")
    func unknown() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec("echo ran")
            spec.linux.devices = [.init(path: "/dev/x", type: "q", major: 1, minor: 3)]
            #expect(try bundle.refusal(spec).contains("q is not a valid device type for device /dev/x"))
        }
    }

    @Test("rules open and close devices, the last one that fits counts", arguments: TestBundle.Runtime.installed)
    func rules(runtime: TestBundle.Runtime) throws {
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            let script = "for d in null loop; do (head -c 0 < /dev/$d) 2>/dev/null && echo open || echo closed; done"
            var spec = bundle.spec(script)
            spec.linux.devices = [.init(path: "/dev/loop", type: "c", major: 10, minor: 237, fileMode: 0o666)]
            #expect(try bundle.lines(spec) == ["open", "closed"])
            spec.linux.resources?.devices.append(.init(allow: true, type: "c", major: 10, minor: 237, access: "rw"))
            #expect(try bundle.lines(spec) == ["open", "open"])
            spec.linux.resources?.devices.append(.init(allow: false, type: "c", major: 10, minor: 237, access: "r"))
            #expect(try bundle.lines(spec) == ["open", "closed"])
        }
    }
}

private func makedev(_ major: UInt, _ minor: UInt) -> dev_t { dev_t(major << 8 | minor) }
