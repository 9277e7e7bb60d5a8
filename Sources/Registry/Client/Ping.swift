import NIOHTTP1

extension RepositoryClient {
    /// Asks for `/v2/` and remembers what the registry wants to see. Whether the credentials do is not found out here.
    func ping(triesOnce: Bool = false) async throws {
        var call = Call(method: .GET, address: WebAddress(origin: origin, path: "\(root)/"))
        call.isRepeatable = !triesOnce
        let answer = try await Exchange(transport: exchange.transport, authorizer: exchange.authorizer, scopes: [])
            .unauthorized(call)
        await Body.discard(answer.response)
        switch answer.status {
        case 401:
            let challenges = answer.challenges
            if !challenges.isEmpty { try await exchange.authorizer.answer(challenges, refused: nil, []) }
        case 200..<300, 403, 404: break
        default: throw try await ErrorBody.error(answer.response, .GET, answer.address)
        }
    }
}

extension Registries {
    /// `docker login`: whether the credentials are taken. Gives the identity token that the token server has given out
    /// for later, if any.
    public func logIn(to domain: String, _ credentials: RegistryCredentials) async throws -> Secret? {
        let wanted = Self.origin(domain)
        var candidates = [wanted]
        if try Trust.allowsPlain(wanted, configuration) {
            candidates.append(Origin(scheme: "http", host: wanted.host, port: wanted.port == 443 ? 80 : wanted.port))
        }
        var failure: any Error = RegistryError(.connection, "nobody to ask")
        for origin in candidates {
            do {
                return try await logIn(at: origin, domain, credentials)
            } catch let error as RegistryError where error.isConnection {
                failure = error
            }
        }
        throw failure
    }

    private func logIn(at origin: Origin, _ domain: String, _ credentials: RegistryCredentials) async throws -> Secret? {
        let authorizer = Authorizer(
            origin: origin, credentials: credentials, transport: transport,
            trustedHosts: configuration.authenticationHosts[domain] ?? [], wantsRefreshToken: true)
        let exchange = Exchange(transport: transport, authorizer: authorizer, scopes: [])
        var call = Call(method: .GET, address: WebAddress(origin: origin, path: "/v2/"))
        call.isRepeatable = false
        do {
            let answer = try await exchange.send(call, expecting: [200])
            await Body.discard(answer.response)
        } catch let error as RegistryError where error.kind == .unauthorized || error.kind == .denied {
            let status = error.status ?? 401
            throw RegistryError(
                error.kind,
                "login attempt to \(call.address.shown) failed with status: \(status) \(status == 403 ? "Forbidden" : "Unauthorized")"
                    + (error.message.contains("auth-hosts") ? ": \(error.message)" : ""), status: status)
        }
        return await authorizer.refreshToken
    }
}
