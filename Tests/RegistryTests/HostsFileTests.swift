import Foundation
import NIOHTTP1
import NIOPosix
import OCI
import SystemPackage
import Testing

@testable import Registry

@Suite struct HostsFileTests {
    private func file(_ text: String, domain: String = "quay.io") throws -> HostsFile {
        try HostsFile(Array(text.utf8), domain: domain, place: "/certs/quay.io")
    }

    @Test("a file in containerd's form names hosts in their order, and what is special about each")
    func readsAll() throws {
        let file = try file(
            """
            # The registry itself
            server = "https://quay.example/"
            ca = "quay.crt"

            [host."https://one.example"]
              capabilities = ["pull", "resolve"]
              ca = ["a.crt", "/etc/b.crt"]
              client = [["c.cert", "c.key"]]
              dial_timeout = "1m2s"
              [host."https://one.example".header]
                x-one = "1"
                x-two = ["2", "3"]

            [host.'http://two.example:5000/v2/mirror'] # with a path
            skip_verify = true
            override_path = true
            client = "both.pem"
            header = { authorization = "Basic eA==" }

            [host."three.example"]
            capabilities = [
              "push", # here, too
            ]
            """)
        #expect(file.hosts.map(\.address.description) == ["https://one.example/", "http://two.example:5000/v2/mirror", "https://three.example/"])
        let one = file.hosts[0]
        #expect(one.capabilities == [.pull, .resolve] && one.root == "/v2" && one.dialTimeout == .seconds(62))
        #expect(one.authorities == ["/certs/quay.io/a.crt", "/etc/b.crt"])
        #expect(one.certificates == [.init(chain: "/certs/quay.io/c.cert", key: "/certs/quay.io/c.key")])
        #expect(one.headers.map { "\($0.name): \($0.value)" } == ["x-one: 1", "x-two: 2", "x-two: 3"])
        let two = file.hosts[1]
        #expect(two.skipsVerification && two.root == "/v2/mirror" && two.capabilities == [.pull, .resolve])
        #expect(two.certificates == [.init(chain: "/certs/quay.io/both.pem", key: "/certs/quay.io/both.pem")])
        #expect(two.headers.map(\.value) == ["Basic eA=="])
        #expect(file.hosts[2].capabilities == [.push])
        #expect(file.server?.address.description == "https://quay.example/" && file.server?.authorities == ["/certs/quay.io/quay.crt"])
        #expect(file.server?.capabilities == [.pull, .resolve, .push])
    }

    @Test("where the file says nothing of the registry itself, it is the domain; Docker's has another host")
    func server() throws {
        #expect(try file("").server == nil)
        #expect(try file("skip_verify = true").server?.address.description == "https://quay.io/")
        #expect(try file("server = \"https://docker.io\"", domain: "docker.io").server?.address.origin.host == "registry-1.docker.io")
    }

    @Test(
        "a setting that means nothing is refused, with its place",
        arguments: [
            ("sever = \"x\"", "sever is not known"),
            ("[host.\"https://a.example\"]\ncapability = []", "host.\"https://a.example\".capability is not known"),
            ("[host.\"https://a.example\"]\ncapabilities = [\"fetch\"]", "unknown capability fetch"),
            ("[host.\"ftp://a.example\"]", "is no address"), ("[host.\"https://me:word@a.example\"]", "is no address"),
            ("skip_verify = \"yes\"", "skip_verify is neither true nor false"), ("ca = 3", "ca is neither a string nor a list"),
            ("client = [\"a\", \"b\"]", "names several certificates"),
            ("client = [[\"a\", \"b\", \"c\"]]", "has to name a certificate and its key"),
            ("dial_timeout = \"soon\"", "is no duration"), ("dial_timeout = 5", "is no duration"), ("dial_timeout = \"0s\"", "is no duration"),
            ("header = { \"a b\" = \"c\" }", "is no header"), ("header = { a = \"b\\nc: d\" }", "is no header"),
            ("host = \"x\"", "host is no table"), ("[host]\na = 1", "host.\"a\" is no table"),
        ])
    func refuses(text: String, words: String) {
        let error = #expect(throws: HostsFileError.self) { try file(text) }
        #expect(error?.description.contains(words) == true, "\(String(describing: error))")
    }

    @Test(
        "what is no TOML, or more of it than settings need, is refused with its line",
        arguments: [
            ("a", 1, "followed by ="), ("a = ", 1, "a value is missing"), ("\n= 1", 2, "a name is missing"), ("a = 1\na = 2", 2, "twice"),
            ("[a]\n[a]", 2, "twice"), ("a = 1\n[a]", 2, "is no table"), ("[a", 1, "end with ]"), ("[[a]]", 1, "lists of tables"),
            ("a = \"x", 1, "has no end"), ("a = \"x\ny\"", 1, "has no end"), ("a = \"\"\"x\"\"\"", 1, "several lines"),
            ("a = 1.5", 1, "neither a string"), ("a = 2026-01-01", 1, "neither a string"), ("a = yes", 1, "neither a string"),
            ("a = [1, 2", 1, "end with ]"), ("a = {b = 1", 1, "end with }"), ("a = \"\\q\"", 1, "unknown character"),
            ("a = \"\\uD800\"", 1, "no character"), ("a = 1 b = 2", 1, "stands behind"), ("a = \"\u{1}\"", 1, "control character"),
            ("a.b = 1\n[a]\n", 2, "cannot be added to"), ("[a.b]\n[a]\nb.c = 1", 3, "a place of its own"),
            ("a = \(String(repeating: "[", count: 40))", 1, "lists in more than"),
            ("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q = 1", 1, "a name of more than"),
        ])
    func refusesTOML(text: String, line: Int, words: String) {
        let error = #expect(throws: TOMLError.self) { try TOML.parse(Array(text.utf8)) }
        #expect(error?.line == line && error?.reason.contains(words) == true, "\(String(describing: error))")
    }

    @Test("strings, numbers, lists and tables come out as they went in")
    func values() throws {
        let text =
            "\u{20}a = \"x\\t\\\"\\u00e9\\U0001F600\" # remark\r\nb='C:\\d'\nc = [ 1, -2_000, +3,\n true ]\nd.'e f'.g = false\n[h.\"i.j\"]\nk = {l = {}}\n"
        let json = try TOML.parse(Array(text.utf8))
        #expect(
            String(decoding: json.serialized(), as: UTF8.self)
                == #"{"a":"x\t\"é😀","b":"C:\\d","c":[1,-2000,3,true],"d":{"e f":{"g":false}},"h":{"i.j":{"k":{"l":{}}}}}"#)
    }

    @Test("no beginning of a file and no changed byte of it stops the reader")
    func nonsense() {
        let text = Array("server = \"https://a\"\n[host.\"https://b\"]\ncapabilities = [\"pull\"]\nheader = {a = 'b'}\n".utf8)
        for count in 0..<text.count { _ = try? HostsFile(Array(text[..<count]), domain: "a", place: "/") }
        for index in text.indices {
            for byte: UInt8 in [0, 0x0A, 0x22, 0x27, 0x5B, 0x5D, 0x7B, 0xFF] {
                var changed = text
                changed[index] = byte
                _ = try? HostsFile(changed, domain: "a", place: "/")
            }
        }
    }

    // MARK: On the wire

    /// Runs the body with `certs.d/<domain>/hosts.toml`.
    private func withHosts<T>(_ text: String, domain: String, _ body: (FilePath) async throws -> T) async throws -> T {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("hosts-\(UInt32.random(in: .min ... .max))")
        defer { try? FileManager.default.removeItem(at: directory) }
        let place = directory.appendingPathComponent(domain)
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        try text.write(to: place.appendingPathComponent("hosts.toml"), atomically: true, encoding: .utf8)
        return try await body(FilePath(directory.path))
    }

    @Test("a mirror gets its headers and the domain it stands for, and neither the user's password nor a changed path")
    func mirrorRequests() async throws {
        try await TestServer.with(
            { _, request in
                request.headers.contains(name: "authorization")
                    ? Reply(status: 200) : Reply(status: 200, headers: ["Content-Type": "application/json"], body: "{}")
            }
        ) { server, registries in
            let text = "[host.\"http://127.0.0.1:\(server.port)/root\"]\noverride_path = true\nheader = {x-key = \"1\"}\n"
            try await withHosts(text, domain: "quay.io") { directory in
                var configuration = registries.configuration
                configuration.certificateDirectories = [directory]
                let own = Registries(configuration, group: MultiThreadedEventLoopGroup.singleton)
                let sources = try own.sources(of: Reference("quay.io/a/b:1"), .password(user: "me", Secret("word")))
                #expect(sources.map(\.host) == ["127.0.0.1:\(server.port)", "quay.io"] && sources.map(\.isMirror) == [true, false])
                let client = try await sources[0].connect(for: .pull)
                _ = try? await client.manifest(.tag("1"))
                #expect(server.requests.map(\.uri) == ["/root/", "/root/a/b/manifests/1?ns=quay.io"])
                #expect(server.requests.allSatisfy { $0.headers["x-key"] == ["1"] && !$0.headers.contains(name: "authorization") })
                try await own.shutdown()
            }
        }
    }

    private typealias Reply = TestServer.Reply

    @Test("the file of _default counts for all domains without one, and a password only for the domain's own host")
    func defaults() async throws {
        try await withHosts("server = \"https://other.example\"\n[host.\"https://m.example\"]\ncapabilities = [\"pull\"]", domain: "_default") {
            directory in
            var configuration = RegistryConfiguration()
            configuration.certificateDirectories = [directory]
            let registries = Registries(configuration, group: MultiThreadedEventLoopGroup.singleton)
            let sources = try registries.sources(of: Reference("quay.io/a/b:1"), .password(user: "me", Secret("word")))
            #expect(sources.map(\.host) == ["m.example", "other.example"])
            #expect(sources.map(\.resolves) == [false, true] && sources.map(\.gives) == [true, true])
            #expect(sources.map(\.credentials) == [.anonymous, .anonymous])
            #expect(try registries.target(of: Reference("quay.io/a/b:1"), .anonymous).host == "other.example")
            try await registries.shutdown()
        }
    }

    @Test("pushes go where the file says, and nowhere when it says so")
    func pushes() async throws {
        for (text, host) in [
            ("[host.\"https://m.example\"]\ncapabilities = [\"push\"]", "m.example"), ("[host.\"https://m.example\"]", "quay.io"),
            ("capabilities = [\"pull\"]", nil),
        ] as [(String, String?)] {
            try await withHosts(text, domain: "quay.io") { directory in
                var configuration = RegistryConfiguration()
                configuration.certificateDirectories = [directory]
                let registries = Registries(configuration, group: MultiThreadedEventLoopGroup.singleton)
                let target = try? registries.target(of: Reference("quay.io/a/b:1"), .anonymous).host
                #expect(target == host)
                try await registries.shutdown()
            }
        }
    }

    @Test("a file that cannot be read is said, with its name")
    func brokenFile() async throws {
        try await withHosts("server =", domain: "quay.io") { directory in
            var configuration = RegistryConfiguration()
            configuration.certificateDirectories = [directory]
            let registries = Registries(configuration, group: MultiThreadedEventLoopGroup.singleton)
            let error = #expect(throws: RegistryError.self) { try registries.sources(of: Reference("quay.io/a/b:1"), .anonymous) }
            #expect(error?.message.hasSuffix("quay.io/hosts.toml: line 1: a value is missing") == true)
            try await registries.shutdown()
        }
    }
}
