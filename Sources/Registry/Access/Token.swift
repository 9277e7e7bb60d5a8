import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOHTTP1
import OCI

/// What a token server has given out.
struct Token: Sendable {
    let value: Secret
    let refreshToken: Secret?
    private let expires: ContinuousClock.Instant

    /// Not so near its end that a request could come too late with it.
    var isFresh: Bool { ContinuousClock.now < expires }

    /// A server that states no lifetime, or one below a minute, means a minute; an hour is the most that is believed.
    init(value: Secret, refreshToken: Secret?, seconds: Int?) {
        self.value = value
        self.refreshToken = refreshToken
        let lifetime = min(max(seconds ?? 60, 60), 3600)
        expires = ContinuousClock.now + .seconds(lifetime - lifetime / 10)
    }
}

/// One question to a token server: docs.docker.com/registry/spec/auth/token and …/oauth.
struct TokenRequest: Sendable {
    let realm: WebAddress
    let service: String?
    let scopes: [String]
    let credentials: RegistryCredentials
    /// There were credentials, but not for this host.
    let isWithheld: Bool
    let wantsRefreshToken: Bool

    private static let clientID = "docker"
    private static let limit = 1 << 20

    func fetch(_ transport: Transport) async throws -> Token {
        var wait = BackOff(transport.configuration)
        while true {
            do {
                if case .identityToken = credentials { return try await post(transport) }
                do {
                    return try await get(transport)
                } catch let error as RegistryError where error.status == 405 || error.status == 404 {
                    guard case .password = credentials else { throw error }
                    return try await post(transport)
                }
            } catch let error as RegistryError where error.isTransient {
                try await wait.next(after: error)
            }
        }
    }

    private func get(_ transport: Transport) async throws -> Token {
        var address = realm
        if let service { address = address.adding("service", service) }
        for scope in scopes { address = address.adding("scope", scope) }
        var headers = HTTPHeaders()
        if case .password(let user, let password) = credentials {
            address = address.adding("account", user)
            headers.add(name: "Authorization", value: "Basic \(Base64.encoded(Array("\(user):\(password.reveal())".utf8)))")
        }
        address = address.adding("client_id", Self.clientID)
        if wantsRefreshToken { address = address.adding("offline_token", "true") }
        return try await token(try await transport.send(.GET, address, headers: headers))
    }

    private func post(_ transport: Transport) async throws -> Token {
        var form: [(String, String)] = []
        switch credentials {
        case .identityToken(let token): form += [("grant_type", "refresh_token"), ("refresh_token", token.reveal())]
        case .password(let user, let password):
            form += [("grant_type", "password"), ("username", user), ("password", password.reveal())]
            if wantsRefreshToken { form.append(("access_type", "offline")) }
        case .anonymous, .registryToken: break
        }
        if let service { form.append(("service", service)) }
        form.append(("client_id", Self.clientID))
        if !scopes.isEmpty { form.append(("scope", scopes.joined(separator: " "))) }
        let body = form.map { "\($0.0)=\($0.1.percentEncoded())" }.joined(separator: "&")
        let response = try await transport.send(
            .POST, realm, headers: ["Content-Type": "application/x-www-form-urlencoded"], body: .bytes(ByteBuffer(string: body)))
        return try await token(response)
    }

    private struct Answer: Decodable {
        var token: String?
        var accessToken: String?
        var refreshToken: String?
        var seconds: Int?

        enum CodingKeys: String, CodingKey {
            case token
            case accessToken = "access_token"
            case refreshToken = "refresh_token"
            case seconds = "expires_in"
        }
    }

    private func token(_ response: HTTPClientResponse) async throws -> Token {
        guard response.status == .ok else { throw try await failure(response) }
        let body = try await Body.collect(response, limit: Self.limit, .GET, realm)
        // What is wrong with the answer is not shown: it may hold a token.
        guard let answer = try? JSONDecoder().decode(Answer.self, from: Data(body)),
            let value = [answer.token, answer.accessToken].compactMap(\.self).first(where: { !$0.isEmpty }),
            value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { throw RegistryError(.invalidReply, "the token server \(realm.shown) gave no token") }
        return Token(
            value: Secret(value), refreshToken: answer.refreshToken.flatMap { $0.isEmpty ? nil : Secret($0) },
            seconds: answer.seconds)
    }

    private func failure(_ response: HTTPClientResponse) async throws -> RegistryError {
        let error = try await ErrorBody.error(response, .GET, realm)
        guard error.kind == .unauthorized || error.kind == .denied else { return error }
        let withheld =
            isWithheld ? " (\(realm.origin.authority) is another site and was not shown the credentials; see auth-hosts in the documentation)" : ""
        return RegistryError(error.kind, error.message + withheld, code: error.code, status: error.status)
    }
}
