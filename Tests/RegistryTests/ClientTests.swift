import NIOCore
import NIOHTTP1
import OCI
import Synchronization
import Testing

@testable import Registry

@Suite("The registry client on the wire", .timeLimit(.minutes(1))) struct ClientTests {
    private func repository(
        _ server: TestServer, _ registries: Registries, _ credentials: RegistryCredentials = .anonymous, for access: Registries.Access = .pull
    ) async throws -> RepositoryClient {
        try await registries.registry(of: Reference("127.0.0.1:\(server.port)/me/app:1"), credentials).connect(for: access)
    }

    @Test("a host of this machine that speaks no TLS is asked without it")
    func plain() async throws {
        try await TestServer.with({ _, _ in .init(status: 200, body: "{}") }) { server, registries in
            let repository = try await repository(server, registries)
            #expect(repository.origin.scheme == "http")
            #expect(server.requests.map(\.uri) == ["/v2/"])
        }
    }

    @Test("tags come page by page, and only from the registry itself")
    func tags() async throws {
        try await TestServer.with({ _, request in
            switch request.uri {
            case "/v2/": .init(status: 200)
            case "/v2/me/app/tags/list":
                .init(status: 200, headers: ["Link": "</v2/me/app/tags/list?last=b>; rel=\"next\""], body: #"{"tags":["a","b"]}"#)
            default: .init(status: 200, body: #"{"tags":["c"]}"#)
            }
        }) { server, registries in
            let tags = try await repository(server, registries).tags()
            #expect(tags == ["a", "b", "c"])
        }
        try await TestServer.with({ _, _ in
            .init(status: 200, headers: ["Link": "<https://elsewhere.example/>; rel=\"next\""], body: #"{"tags":["a"]}"#)
        }) { server, registries in
            await #expect(throws: RegistryError.self) { try await repository(server, registries).tags() }
        }
    }

    @Test("a busy registry is asked again, as often as is set, and no longer")
    func busy() async throws {
        try await TestServer.with({ number, request in
            request.uri == "/v2/"
                ? .init(status: 200) : number < 4 ? .init(status: 429, headers: ["Retry-After": "0"]) : .init(status: 200, body: #"{"tags":[]}"#)
        }) { server, registries in
            let tags = try await repository(server, registries).tags()
            #expect(tags == [])
            #expect(server.requests.count == 5)
        }
        try await TestServer.with({ _, request in
            request.uri == "/v2/" ? .init(status: 200) : .init(status: 503, headers: ["Retry-After": "65000"])
        }) { server, registries in
            let error = await #expect(throws: RegistryError.self) { try await repository(server, registries).tags() }
            #expect(error?.kind == .unavailable && server.requests.count == 6)
        }
    }

    @Test("a password is shown only after it was asked for, and its refusal is told")
    func basic() async throws {
        let credentials = RegistryCredentials.password(user: "ann", Secret("word"))
        try await TestServer.with({ _, request in
            request.headers["Authorization"] == ["Basic YW5uOndvcmQ="]
                ? .init(status: 200, body: #"{"tags":["a"]}"#) : .init(status: 401, headers: ["WWW-Authenticate": "Basic realm=\"x\""])
        }) { server, registries in
            let tags = try await repository(server, registries, credentials).tags()
            #expect(tags == ["a"])
            #expect(server.requests.map { $0.headers.contains(name: "Authorization") } == [false, true])
            let wrong = RegistryCredentials.password(user: "ann", Secret("other"))
            let refused = await #expect(throws: RegistryError.self) { try await repository(server, registries, wrong).tags() }
            #expect(refused?.kind == .unauthorized)
            let none = await #expect(throws: RegistryError.self) { try await repository(server, registries).tags() }
            #expect(none?.message.contains("no basic auth credentials") == true)
        }
    }

    /// A registry and its token server in one.
    private static func withTokens(_ lifetime: @escaping @Sendable (Int) -> Bool) -> TestServer.Answer {
        let issued = Mutex(0)
        return { number, request in
            let port = request.headers["Host"].first ?? ""
            if request.uri.hasPrefix("/token") {
                let count = issued.withLock { issued in
                    issued += 1
                    return issued
                }
                return .init(status: 200, body: #"{"access_token":"token-\#(count)","expires_in":300}"#)
            }
            let current = "Bearer token-\(issued.withLock { $0 })"
            if request.headers["Authorization"] == [current], lifetime(number) { return .init(status: 200, body: #"{"tags":["a"]}"#) }
            return .init(status: 401, headers: ["WWW-Authenticate": "Bearer realm=\"http://\(port)/token\",service=\"s\",scope=\"x\""])
        }
    }

    @Test("a token is fetched with the scope of the repository, used again, and fetched once more when it is refused")
    func tokens() async throws {
        let refusedOnce = Mutex(false)
        let answer = Self.withTokens { number in
            number != 3
                || refusedOnce.withLock { refused in
                    defer { refused = true }
                    return refused
                }
        }
        try await TestServer.with(answer) { server, registries in
            let repository = try await repository(server, registries, .password(user: "ann", Secret("word")))
            #expect(try await repository.tags() == ["a"])
            #expect(try await repository.tags() == ["a"])
            let asked = server.requests.filter { $0.uri.hasPrefix("/token") }
            #expect(asked.count == 2)
            #expect(asked[0].uri == "/token?service=s&scope=repository%3Ame%2Fapp%3Apull&account=ann&client_id=docker")
            #expect(asked[0].headers["Authorization"] == ["Basic YW5uOndvcmQ="])
        }
    }

    @Test("whoever gives up waiting for a token is let go, and others get theirs")
    func abandonedToken() async throws {
        let isFirst = Mutex(true)
        let tokens = Self.withTokens { _ in true }
        let answer: TestServer.Answer = { number, request in
            let isWithheld =
                request.uri.hasPrefix("/token")
                && isFirst.withLock { first in
                    defer { first = false }
                    return first
                }
            return isWithheld ? .silence : tokens(number, request)
        }
        try await TestServer.with(answer) { server, registries in
            let repository = try await repository(server, registries)
            let hasty = Task { try await repository.tags() }
            while !server.requests.contains(where: { $0.uri.hasPrefix("/token") }) { await Task.yield() }
            let patient = Task { try await repository.tags() }
            hasty.cancel()
            await #expect(throws: (any Error).self) { try await hasty.value }
            #expect(try await patient.value == ["a"])
        }
    }

    @Test("a token that is refused again and again ends it")
    func refusedTokens() async throws {
        try await TestServer.with(Self.withTokens { _ in false }) { server, registries in
            let error = await #expect(throws: RegistryError.self) { try await repository(server, registries).tags() }
            #expect(error?.kind == .unauthorized && server.requests.count < 8)
        }
    }

    @Test("an identity token goes to the token server in a form, never to the registry")
    func identityToken() async throws {
        try await TestServer.with(Self.withTokens { _ in true }) { server, registries in
            let tags = try await repository(server, registries, .identityToken(Secret("refresh"))).tags()
            #expect(tags == ["a"])
            let asked = server.requests.filter { $0.uri.hasPrefix("/token") }
            #expect(asked.map(\.method) == [.POST])
            #expect(String(decoding: asked[0].body, as: UTF8.self).contains("grant_type=refresh_token&refresh_token=refresh&service=s"))
            #expect(!server.requests.contains { request in request.headers["Authorization"].contains { $0.contains("refresh") } })
        }
    }

    @Test("what refers to a manifest is found under its tag where the registry does not know the question")
    func referrers() async throws {
        let hex = String(repeating: "a", count: 64)
        let body =
            #"{"schemaVersion":2,"mediaType":"\#(MediaType.index)","manifests":[{"mediaType":"\#(MediaType.manifest)","digest":"sha256:\#(hex)","size":5,"artifactType":"sbom"}]}"#
        try await TestServer.with({ _, request in
            switch request.uri {
            case "/v2/me/app/manifests/sha256-\(hex)": .init(status: 200, headers: ["Content-Type": MediaType.index], body: body)
            case "/v2/": .init(status: 200)
            default: .init(status: 404)
            }
        }) { server, registries in
            let repository = try await repository(server, registries)
            #expect(try await repository.referrers(Digest(hex: hex)).count == 1)
            #expect(try await repository.referrers(Digest(hex: hex), artifactType: "other").isEmpty)
        }
    }

    @Test("a blob goes up in one stream, or in chunks of the size that the registry wants")
    func uploads() async throws {
        for least in [nil, "100"] as [String?] {
            let sent = Mutex<[UInt8]>([])
            try await TestServer.with({ _, request in
                switch request.method {
                case .POST:
                    var reply = TestServer.Reply(status: 202, headers: ["Location": "/v2/me/app/blobs/uploads/1?state=0"])
                    if let least { reply.headers.add(name: "OCI-Chunk-Min-Length", value: least) }
                    return reply
                case .PATCH:
                    sent.withLock { $0 += request.body }
                    return .init(status: 202, headers: ["Location": "1?state=\(request.headers["Content-Range"].first ?? "whole")"])
                default: return .init(status: request.method == .PUT ? 201 : 200)
                }
            }) { server, registries in
                let pieces = Mutex(Array(repeating: [UInt8](repeating: 7, count: 5 << 20), count: 3))
                let digest = try Digest(hex: String(repeating: "b", count: 64))
                try await repository(server, registries, for: .push).upload(
                    { pieces.withLock { $0.popLast().map { ByteBuffer(bytes: $0) } } }, finish: { digest })
                #expect(sent.withLock { $0.count } == 15 << 20)
                let ranges = server.requests.filter { $0.method == .PATCH }.map { $0.headers["Content-Range"].first }
                #expect(ranges == (least == nil ? [nil] : ["0-8388607", "8388608-15728639"]))
                #expect(server.requests.last?.uri.hasSuffix("&digest=sha256%3A\(digest.hex)") == true)
            }
        }
    }

    @Test("an error is told in the words of the registry, without what could upset a terminal")
    func errors() async throws {
        try await TestServer.with({ _, request in
            request.uri == "/v2/"
                ? .init(status: 200) : .init(status: 404, body: #"{"errors":[{"code":"NAME_UNKNOWN","message":"not\u001b[2J here"}]}"#)
        }) { server, registries in
            let error = await #expect(throws: RegistryError.self) { try await repository(server, registries).tags() }
            #expect(error?.message == "name unknown: not [2J here" && error?.code == "NAME_UNKNOWN")
        }
    }
}
