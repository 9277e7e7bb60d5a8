import Glibc
import Linux
import OCI
import SystemPackage
import Testing

@Suite(
    "Network devices of the host in a container", .enabled(if: getuid() == 0 && access("/sbin/ip", X_OK) == 0), .timeLimit(.minutes(1)), .serialized)
struct NetDeviceTests {
    /// A pair of devices on the host whose first end has addresses. Both go with the container's namespace.
    private func withPair(_ body: (_ name: String) throws -> Void) throws {
        let name = "sk\(UInt32.random(in: 0 ... 0xFFFFFF))"
        try ip(["link", "add", "\(name)a", "mtu", "1400", "type", "veth", "peer", "name", "\(name)b"])
        defer { try? ip(["link", "del", "\(name)b"]) }  // It has gone with the other end already.
        try ip(["addr", "add", "192.0.2.5/24", "dev", "\(name)a"])
        try ip(["addr", "add", "2001:db8::5/64", "dev", "\(name)a"])
        try ip(["addr", "add", "169.254.9.9/16", "scope", "link", "dev", "\(name)a"])
        try body("\(name)a")
    }

    private func ip(_ arguments: [String]) throws {
        let null = try OwnedFD.open("/dev/null", .readWrite)
        let pid = try spawn("/sbin/ip", arguments: arguments, environment: [], descriptors: [null.raw, null.raw, null.raw])
        guard try reap(pid).isSuccess else {
            throw SystemError(errno: .invalidArgument, call: "ip", subject: arguments.joined(separator: " "))
        }
    }

    @Test("a device comes under its new name with its permanent global addresses, its settings, and up")
    func move() throws {
        try withPair { name in
            try TestBundle.with { (bundle: TestBundle) throws in
                var spec = bundle.spec("ip addr show dev inner0")
                spec.linux.netDevices = [.init(hostName: name, name: "inner0")]
                let text = try bundle.run(spec).output
                #expect(text.contains("inet 192.0.2.5/24") && text.contains("inet6 2001:db8::5/64") && text.contains("mtu 1400"), "\(text)")
                #expect(text.contains(",UP") && !text.contains("169.254.9.9"), "\(text)")
            }
        }
    }

    @Test("without a name it keeps its own, with a number sign it gets the first free one")
    func names() throws {
        for (wanted, shown) in [(String?.none, ""), ("net%d", "net0")] {
            try withPair { name in
                try TestBundle.with { (bundle: TestBundle) throws in
                    var spec = bundle.spec("ip -o link | cut -d: -f2 | cut -d@ -f1")
                    spec.linux.netDevices = [.init(hostName: name, name: wanted)]
                    #expect(try bundle.lines(spec).contains(" \(shown.isEmpty ? name : shown)"))
                }
            }
        }
    }

    @Test("a device that is not there, a name that is taken and a missing namespace are refused; the device stays on the host")
    func refusals() throws {
        try withPair { name in
            try TestBundle.with { (bundle: TestBundle) throws in
                var spec = bundle.spec("echo ran")
                spec.linux.netDevices = [.init(hostName: "nosuchdev0")]
                #expect(try bundle.refusal(spec).contains("netDevices nosuchdev0: no such network device"))
                spec.linux.netDevices = [.init(hostName: name, name: "lo")]
                #expect(try bundle.refusal(spec).contains("lo exists in the container already"))
                spec.linux.namespaces.removeAll { $0.type == .network }
                #expect(try bundle.refusal(spec).contains("netDevices"))
                var host = try RouteSocket()
                #expect(try host.link(named: name) != nil)
            }
        }
    }
}
