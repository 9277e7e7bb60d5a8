import OCI
import Testing

@Suite struct ReferenceTests {
    @Test(
        "a short name gets the domain and the folder that Docker means",
        arguments: [
            ("debian", "docker.io", "library/debian", "debian"),
            ("debian:bookworm", "docker.io", "library/debian", "debian:bookworm"),
            ("me/app", "docker.io", "me/app", "me/app"),
            ("docker.io/debian", "docker.io", "library/debian", "debian"),
            ("index.docker.io/me/app:1", "docker.io", "me/app", "me/app:1"),
            ("localhost/app", "localhost", "app", "localhost/app"),
            ("registry.example:5000/a/b:v1.0", "registry.example:5000", "a/b", "registry.example:5000/a/b:v1.0"),
            ("[::1]:5000/app", "[::1]:5000", "app", "[::1]:5000/app"),
            ("a/b/c", "docker.io", "a/b/c", "a/b/c"),
            ("a__b/c--d.e_f", "docker.io", "a__b/c--d.e_f", "a__b/c--d.e_f"),
        ])
    func normalises(_ text: String, _ domain: String, _ path: String, _ familiar: String) throws {
        let reference = try Reference(text)
        #expect(reference.domain == domain)
        #expect(reference.path == path)
        #expect(reference.familiarString == familiar)
        #expect(try Reference(reference.description) == reference)
    }

    @Test("tag and digest are told apart")
    func tagAndDigest() throws {
        let hex = String(repeating: "a", count: 64)
        let both = try Reference("app:1@sha256:\(hex)")
        #expect(both.tag == "1")
        #expect(both.digest?.hex == hex)
        #expect(both.withDefaultTag() == both)
        #expect(try Reference("app").withDefaultTag().familiarString == "app:latest")
        #expect(try Reference("host:5000/app").tag == nil)
    }

    @Test(
        "what Docker refuses is refused",
        arguments: [
            "", ":", "@", "a:", "a@", "/a", "a/", "a//b", "-a", "a-", "a..b", "a___b", "../a", "a b", "a:-x",
            "a:\(String(repeating: "x", count: 129))",
            "a@sha256:12", "a@md5:00", "ex ample.com/a", "host:port/a", "a\u{0}b", "ä", "a:ä",
            String(repeating: "a", count: 256), String(repeating: "a", count: 64),
        ])
    func refuses(_ text: String) {
        #expect(throws: (any Error).self) { try Reference(text) }
    }

    @Test("an uppercase name is told apart from other mistakes")
    func uppercase() {
        #expect(throws: ReferenceError.uppercase("library/Debian")) { try Reference("docker.io/Debian") }
    }
}

@Suite struct DigestTests {
    @Test("only lowercase digests of known algorithms are accepted")
    func grammar() throws {
        let hex = String(repeating: "0123456789abcdef", count: 4)
        #expect(try Digest("sha256:\(hex)").description == "sha256:\(hex)")
        #expect(try Digest("sha512:\(hex)\(hex)").algorithm == .sha512)
        for bad in [
            "", "sha256", "sha256:", "sha256:\(hex.uppercased())", "sha256:\(hex)0", "sha256:\(hex.dropLast())", "md5:\(hex)",
            "sha256:../../\(hex.dropLast(6))", "sha256:\(hex.dropLast())/",
        ] {
            #expect(throws: Digest.ParseError.self) { try Digest(bad) }
        }
    }

    @Test("raw bytes become digits")
    func fromBytes() {
        #expect(Digest(sha256: Array(0..<32)).hex.hasPrefix("000102030405060708090a0b"))
    }
}
