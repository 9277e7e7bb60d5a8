import FoundationEssentials
import NIOCore
import NIOHTTP1

/// Keeps what one user has to show to one registry: answers its challenges and remembers the tokens, one for each set of
/// scopes, until they run out.
actor Authorizer {
    /// Of the registry. Only challenges from here are answered.
    nonisolated let origin: Origin
    private let credentials: RegistryCredentials
    private let transport: Transport
    /// Other hosts whose token servers may see the credentials.
    private let trustedHosts: [String]

    private var challenge: Challenge?
    private var tokens: [Set<String>: Token] = [:]
    private var fetches: [Set<String>: Task<Token, any Error>] = [:]
    /// The refresh token that a login has brought.
    private(set) var refreshToken: Secret?
    /// Ask for such a token.
    private let wantsRefreshToken: Bool

    init(
        origin: Origin, credentials: RegistryCredentials, transport: Transport, trustedHosts: [String] = [],
        wantsRefreshToken: Bool = false
    ) {
        self.origin = origin
        self.credentials = credentials
        self.transport = transport
        self.trustedHosts = trustedHosts
        self.wantsRefreshToken = wantsRefreshToken
    }

    /// A token as it stands in a request, to tell later that exactly this one was refused.
    struct Header: Sendable, Equatable {
        fileprivate let value: Secret
        func add(to headers: inout HTTPHeaders) { headers.replaceOrAdd(name: "Authorization", value: value.reveal()) }
    }

    /// What a request with these scopes shows; nil before the registry has asked for anything. `request` is for the message.
    func header(_ scopes: Set<String>, request: String) async throws -> Header? {
        if case .registryToken(let token) = credentials { return Header(value: Secret("Bearer \(token.reveal())")) }
        guard let challenge else { return nil }
        switch challenge.scheme {
        case "basic": return try basicHeader(request)
        default: return Header(value: Secret("Bearer \(try await token(challenge, scopes).value.reveal())"))
        }
    }

    /// Takes in a 401. Throws when nothing that we have could help.
    func answer(_ challenges: [Challenge], refused: Header?, _ scopes: Set<String>) async throws {
        let bearer = challenges.first { $0.scheme == "bearer" && $0.parameters["realm"] != nil }
        guard let found = bearer ?? challenges.first(where: { $0.scheme == "basic" }) else {
            throw RegistryError(.unauthorized, "unauthorized: authentication required", status: 401)
        }
        let known = challenge
        challenge = found
        guard let refused else { return }
        if found.scheme == "basic" {
            if case .basic = Scheme(known) {
                throw RegistryError(.unauthorized, "unauthorized: incorrect username or password", status: 401)
            }
            return
        }
        // Another request may have got a new token meanwhile.
        if let current = tokens[scopes], Header(value: Secret("Bearer \(current.value.reveal())")) != refused { return }
        tokens[scopes] = nil
    }

    private enum Scheme {
        case none, basic, bearer
        init(_ challenge: Challenge?) {
            self = challenge.map { $0.scheme == "basic" ? .basic : .bearer } ?? .none
        }
    }

    private func basicHeader(_ request: String) throws -> Header {
        guard case .password(let user, let password) = credentials else {
            throw RegistryError(.unauthorized, "\(request): no basic auth credentials", status: 401)
        }
        return Header(value: Secret("Basic \(Base64.encoded(Array("\(user):\(password.reveal())".utf8)))"))
    }

    private func token(_ challenge: Challenge, _ scopes: Set<String>) async throws -> Token {
        while true {
            if let token = tokens[scopes], token.isFresh { return token }
            let fetch = try fetches[scopes] ?? beginFetch(challenge, scopes)
            defer { if fetches[scopes] == fetch { fetches[scopes] = nil } }
            do {
                let token = try await withTaskCancellationHandler {
                    try await fetch.value
                } onCancel: {
                    fetch.cancel()
                }
                tokens[scopes] = token
                if let refresh = token.refreshToken { refreshToken = refresh }
                return token
            } catch {
                try Task.checkCancellation()
                // Somebody else has waited for the same token and given up.
                guard fetch.isCancelled else { throw error }
            }
        }
    }

    private func beginFetch(_ challenge: Challenge, _ scopes: Set<String>) throws -> Task<Token, any Error> {
        let request = try tokenRequest(challenge, scopes)
        let fetch = Task { [transport] in try await request.fetch(transport) }
        fetches[scopes] = fetch
        return fetch
    }

    private func tokenRequest(_ challenge: Challenge, _ scopes: Set<String>) throws -> TokenRequest {
        guard let text = challenge.parameters["realm"], let realm = WebAddress(text) else {
            throw RegistryError(.invalidReply, "the registry \(origin.authority) names no usable token server")
        }
        // Over a channel that anybody can read only if the registry is spoken to over such a one, too.
        guard realm.origin.scheme == "https" || origin.scheme == "http" || realm.origin.isLoopback else {
            throw RegistryError(.invalidReply, "the registry \(origin.authority) names a token server without TLS: \(realm.shown)")
        }
        let asked = challenge.parameters["scope"].map { Set($0.split(separator: " ").map(String.init)) } ?? []
        return TokenRequest(
            realm: realm, service: challenge.parameters["service"], scopes: (scopes.isEmpty ? asked : scopes).sorted(),
            credentials: mayShowCredentials(to: realm.origin) ? credentials : .anonymous,
            isWithheld: credentials != .anonymous && !mayShowCredentials(to: realm.origin),
            wantsRefreshToken: wantsRefreshToken)
    }

    /// The token server is the registry's own when it is on the same host or in the same domain: `auth.docker.io` for
    /// `registry-1.docker.io`. Others have to be named by the operator.
    private func mayShowCredentials(to realm: Origin) -> Bool {
        if realm.host == origin.host || (realm.isLoopback && origin.isLoopback) { return true }
        if trustedHosts.contains(realm.host) || trustedHosts.contains(realm.hostAndPort) { return true }
        let labels = origin.host.split(separator: ".")
        guard labels.count >= 2, !origin.host.contains(":"), labels.contains(where: { UInt8($0) == nil }) else { return false }
        let domain = labels.dropFirst(labels.count > 2 ? 1 : 0).joined(separator: ".")
        return realm.host == domain || realm.host.hasSuffix(".\(domain)")
    }
}
