import OCI
import Testing

@testable import Registry

@Suite("Values of the registry client") struct ValueTests {
    @Test("a secret shows itself to nobody who does not ask")
    func secret() {
        let secret = Secret("hunter2")
        var dumped = ""
        dump(secret, to: &dumped)
        for text in ["\(secret)", String(reflecting: secret), dumped, "\(RegistryCredentials.password(user: "ann", secret))"] {
            #expect(!text.contains("hunter2"))
        }
        #expect(secret.reveal() == "hunter2")
    }

    @Test(
        "addresses are read into origin, path and query",
        arguments: [
            ("https://Example.COM/a/b?x=1", "https://example.com/a/b?x=1"), ("http://localhost:5000", "http://localhost:5000/"),
            ("https://[::1]:8443/v2/", "https://[::1]:8443/v2/"), ("https://host:443/x#part", "https://host/x"),
        ])
    func addresses(text: String, read: String) {
        #expect(WebAddress(text)?.description == read)
    }

    @Test(
        "what is no address of the web, or carries a user, is none",
        arguments: [
            "ftp://host/", "host/path", "https://user:word@host/", "https://host:99999/", "https:///path", "https://ho st/", "https://host/a\nb",
        ])
    func noAddresses(text: String) {
        #expect(WebAddress(text) == nil)
    }

    @Test("a location is taken as the answer's address makes it")
    func locations() throws {
        let base = try #require(WebAddress("https://host:5000/v2/x/blobs/uploads/1?state=a"))
        #expect(base.resolving("/v2/y?z=1")?.description == "https://host:5000/v2/y?z=1")
        #expect(base.resolving("2?z=1")?.description == "https://host:5000/v2/x/blobs/uploads/2?z=1")
        #expect(base.resolving("?z=1")?.description == "https://host:5000/v2/x/blobs/uploads/1?z=1")
        #expect(base.resolving("https://other/p")?.description == "https://other/p")
        #expect(base.resolving("//other/p")?.description == "https://other/p")
        #expect(base.resolving("") == nil)
        #expect(base.adding("digest", "sha256:00").query == "state=a&digest=sha256%3A00")
    }

    @Test("challenges are read, several in one header and in several")
    func challenges() {
        let found = Challenge.parse([
            #"Bearer realm="https://auth.example/token",service="a, b",scope="repository:x:pull,push", Basic realm="say \"who\"""#,
            "Negotiate",
        ])
        #expect(found.map(\.scheme) == ["bearer", "basic", "negotiate"])
        #expect(found[0].parameters == ["realm": "https://auth.example/token", "service": "a, b", "scope": "repository:x:pull,push"])
        #expect(found[1].parameters["realm"] == #"say "who""#)
        #expect(Challenge.parse(["=,=", "", "\"", "Basic realm=\"open"]).count <= 1)
    }

    @Test("proxies come from the environment, except for those who need none")
    func proxies() throws {
        let proxies = ProxySettings(environment: [
            "https_proxy": "http://ann:w%40rd@proxy.example:3128", "HTTP_PROXY": "plain.example",
            "NO_PROXY": "internal.example,.corp,10.0.0.0/8,host.example:5000",
        ])
        func proxy(_ address: String) throws -> String? { proxies.proxy(for: try #require(WebAddress(address)).origin)?.host }
        #expect(try proxy("https://registry.example/") == "proxy.example")
        #expect(proxies.proxy(for: try #require(WebAddress("https://r/")).origin)?.authorization?.reveal() == "ann:w@rd")
        #expect(try proxy("http://registry.example/") == "plain.example")
        for direct in [
            "https://internal.example/", "https://a.internal.example/", "https://x.corp/", "https://10.1.2.3/", "https://127.0.0.1/",
            "https://localhost/", "https://host.example:5000/",
        ] {
            #expect(try proxy(direct) == nil, "\(direct)")
        }
        #expect(try proxy("https://host.example/") == "proxy.example")
        #expect(try proxy("https://notinternal.example/") == "proxy.example")
    }

    @Test("hosts that may go without a trusted certificate are this machine and those named")
    func insecure() throws {
        var configuration = RegistryConfiguration()
        configuration.insecure = ["plain.example", "with.example:5000", "10.0.0.0/8"]
        func isInsecure(_ address: String) throws -> Bool { configuration.isInsecure(try #require(WebAddress(address)).origin) }
        for host in ["localhost:5000", "127.8.8.8", "[::1]:5000", "plain.example", "plain.example:444", "with.example:5000", "10.9.8.7:1"] {
            #expect(try isInsecure("https://\(host)/"), "\(host)")
        }
        for host in ["example.com", "with.example", "11.0.0.1", "127.example.com", "localhost.example.com"] {
            #expect(try !isInsecure("https://\(host)/"), "\(host)")
        }
    }

    @Test("base64 is written and read", arguments: ["", "f", "fo", "foo", "foob", "fooba", "foobar"])
    func base64(text: String) {
        let bytes = Array(text.utf8)
        #expect(Base64.decoded(Base64.encoded(bytes)) == bytes)
        #expect(Base64.decoded("_-8") == [0xff, 0xef])
        #expect(Base64.decoded("a b") == nil && Base64.decoded("A") == nil)
    }

    @Test("of an index the best image for a platform is taken, and never an attestation")
    func platforms() throws {
        func entry(_ platform: Platform?, _ digit: String, _ annotations: [String: String]? = nil) throws -> Descriptor {
            Descriptor(
                mediaType: MediaType.manifest, digest: try Digest(hex: String(repeating: digit, count: 64)), size: 1, annotations: annotations,
                platform: platform)
        }
        let index = Index(manifests: [
            try entry(nil, "0"), try entry(Platform(architecture: "amd64"), "1", ["vnd.docker.reference.type": "attestation-manifest"]),
            try entry(Platform(architecture: "arm", variant: "v5"), "2"), try entry(Platform(architecture: "arm", variant: "v6"), "3"),
            try entry(Platform(architecture: "arm64", variant: "v8"), "4"), try entry(Platform(architecture: "amd64"), "5"),
            try entry(Platform(architecture: "amd64", variant: "v3"), "6"), try entry(Platform(architecture: "amd64", os: "windows"), "7"),
        ])
        func chosen(_ platform: Platform) -> Character? { index.entry(for: platform)?.digest.hex.first }
        #expect(chosen(Platform(architecture: "amd64")) == "5")
        #expect(chosen(Platform(architecture: "amd64", variant: "v4")) == "6")
        #expect(chosen(Platform(architecture: "arm64")) == "4")
        #expect(chosen(Platform(architecture: "arm")) == "3")
        #expect(chosen(Platform(architecture: "arm", variant: "v5")) == "2")
        #expect(chosen(Platform(architecture: "s390x")) == nil)
    }
}

@Suite("Manifests as registries send them") struct ManifestDocumentTests {
    private static let digest = "sha256:\(String(repeating: "a", count: 64))"
    private static let part = #"{"mediaType":"x","digest":"\#(digest)","size":3}"#

    private func read(_ text: String, _ type: String? = MediaType.manifest) throws -> ManifestDocument {
        try ManifestDocument(Array(text.utf8), contentType: type, repository: "library/x")
    }

    @Test("a manifest and an index are told apart by what they hold, whatever the registry says of neither")
    func kinds() throws {
        let manifest = #"{"schemaVersion":2,"config":\#(Self.part),"layers":[]}"#
        #expect(try read(manifest, "application/json").mediaType(stated: "application/json") == MediaType.manifest)
        #expect(
            try read(manifest, "\(MediaType.dockerManifest); charset=utf-8").mediaType(stated: MediaType.dockerManifest) == MediaType.dockerManifest)
        guard case .index = try read(#"{"schemaVersion":2,"manifests":[]}"#, MediaType.index) else {
            Issue.record("no index")
            return
        }
    }

    @Test(
        "a document with two meanings, or none, is refused",
        arguments: [
            #"{"schemaVersion":2,"config":PART,"layers":[],"manifests":[]}"#, #"{"schemaVersion":2}"#, #"{"schemaVersion":3,"manifests":[]}"#,
            #"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","config":PART,"layers":[]}"#,
            #"{"schemaVersion":2,"config":PART,"config":PART,"layers":[]}"#, #"{"schemaVersion":2,"config":PART,"layers":[],"fsLayers":[]}"#,
            #"{"schemaVersion":2,"manifests":[]}"#, #"[]"#,
            #"{"schemaVersion":2,"config":PART,"layers":[{"mediaType":"x","digest":"sha256:/","size":1}]}"#,
            #"{"schemaVersion":2,"config":PART,"layers":[{"mediaType":"x","digest":"DIGEST","size":-1}]}"#, "{", "\u{0}",
        ])
    func refused(text: String) {
        let text = text.replacing("PART", with: Self.part).replacing("DIGEST", with: Self.digest)
        #expect(throws: RegistryError.self) { try read(text) }
    }

    @Test("schema 1 is refused with a word on what to do")
    func schemaOne() {
        let error = #expect(throws: RegistryError.self) { try read(#"{"schemaVersion":1,"fsLayers":[]}"#, nil) }
        #expect(error?.message.contains("upgrade the image to the OCI Format") == true)
    }

    @Test("no truncation and no single changed byte stops the reader")
    func robust() throws {
        let text = Array(#"{"schemaVersion":2,"mediaType":"\#(MediaType.manifest)","config":\#(Self.part),"layers":[\#(Self.part)]}"#.utf8)
        for length in 0..<text.count {
            _ = try? ManifestDocument(Array(text[..<length]), contentType: MediaType.manifest, repository: "x")
            var changed = text
            changed[length] ^= 0x21
            _ = try? ManifestDocument(changed, contentType: MediaType.manifest, repository: "x")
        }
    }
}
