import Glibc
import Linux
import Networking
import SystemPackage
import Testing

@Suite struct HostResolverTests {
    private func content(
        _ files: [String], servers: [String] = [], search: [String] = [], options: [String] = []
    ) throws -> String {
        var paths: [FilePath] = []
        for text in files {
            let path = FilePath("/tmp/skiff-resolver-\(UInt64.random(in: 0 ... .max))")
            try OwnedFD.open(path, [.writeOnly, .create, .exclusive]).writeAll(Array(text.utf8))
            paths.append(path)
        }
        defer { for path in paths { unlink(path.string) } }
        return HostResolver(paths: paths + ["/nonexistent/resolv.conf"]).content(
            servers: servers, search: search, options: options)
    }

    @Test("the host's servers, search list and options are taken over, comments are not")
    func copies() throws {
        let text =
            "# made by hand\nnameserver 192.0.2.53\nnameserver\t2001:db8::53\nsearch a.example b.example\noptions ndots:2\n; end\n"
        #expect(
            try content([text])
                == "nameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch a.example b.example\noptions ndots:2\n")
    }

    @Test("servers on loopback are replaced by those that systemd-resolved asks")
    func replacesLoopback() throws {
        let stub = "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch example.org\n"
        let real = "nameserver 192.0.2.1\nnameserver fe80::1%eth0\nsearch other.example\n"
        #expect(
            try content([stub, real]) == "nameserver 192.0.2.1\nsearch example.org\noptions edns0 trust-ad\n")
    }

    @Test("a loopback server beside others is left out")
    func dropsLoopback() throws {
        #expect(
            try content(["nameserver ::1\nnameserver 192.0.2.1\n", "nameserver 192.0.2.2\n"])
                == "nameserver 192.0.2.1\n")
    }

    @Test("without any server the list is empty, without any file as well")
    func empty() throws {
        #expect(try content(["nameserver 127.0.0.1\n"]) == "")
        #expect(try content([]) == "")
    }

    @Test("what the user asks for comes instead of the host's; a search of a dot means none")
    func overrides() throws {
        let text = "nameserver 192.0.2.53\nsearch a.example\n"
        #expect(
            try content([text], servers: ["192.0.2.9"], search: ["x.example"], options: ["ndots:1"])
                == "nameserver 192.0.2.9\nsearch x.example\noptions ndots:1\n")
        #expect(try content([text], search: ["."]) == "nameserver 192.0.2.53\n")
    }
}
