import AsyncHTTPClient
import NIOCore
import NIOHTTP1

/// One request on its way to a registry.
struct Call: Sendable {
    var method: HTTPMethod
    var address: WebAddress
    var headers = HTTPHeaders()
    /// Made anew for each try.
    var body: (@Sendable () throws -> HTTPClientRequest.Body)?
    /// Beside those of the repository.
    var scopes: Set<String> = []
    /// The request may be sent again after a failure.
    var isRepeatable = true
    /// The body can be read only once: after a challenge the caller has to begin anew.
    var streamsOnce = false
}

/// An answer of a registry, its body not yet read.
struct Answer: Sendable {
    let response: HTTPClientResponse
    /// Where it came from in the end.
    let address: WebAddress

    var status: Int { Int(response.status.code) }
    func header(_ name: String) -> String? { response.headers.first(name: name) }
    /// A token was shown and taken, but does not allow this: Docker calls that denied.
    var insufficientScope: RegistryError? {
        guard status == 401, challenges.contains(where: { $0.parameters["error"] == "insufficient_scope" }) else { return nil }
        return RegistryError(.denied, "denied: requested access to the resource is denied", code: "DENIED", status: status)
    }

    /// What a 401 asks for.
    var challenges: [Challenge] { Challenge.parse(response.headers["WWW-Authenticate"]) }
}

/// Sends requests to one registry: shows the credentials that it asks for, follows redirects without them, waits and tries
/// again where that may help.
struct Exchange: Sendable {
    let transport: Transport
    let authorizer: Authorizer
    /// Of every request.
    let scopes: Set<String>

    private static let redirects = 5

    /// An answer with one of these statuses; any other one is an error.
    func send(_ call: Call, expecting statuses: Set<Int>) async throws -> Answer {
        var wait = BackOff(transport.configuration)
        while true {
            do {
                let answer = try await authorized(call)
                if statuses.contains(answer.status) { return answer }
                let retryAfter = Self.retryAfter(answer)
                let error = try await failure(answer, call.method)
                guard error.kind == .unavailable, call.isRepeatable else { throw error }
                try await wait.next(after: error, retryAfter: retryAfter)
            } catch let error as RegistryError where error.isConnection && call.isRepeatable {
                try await wait.next(after: error)
            }
        }
    }

    private func failure(_ answer: Answer, _ method: HTTPMethod) async throws -> RegistryError {
        let error = try await ErrorBody.error(answer.response, method, answer.address)
        return answer.insufficientScope ?? error
    }

    /// Sends the request, and once more when the first answer is a challenge or our token has run out.
    private func authorized(_ call: Call) async throws -> Answer {
        let scopes = scopes.union(call.scopes)
        var challenged = 0
        while true {
            let header = try await authorizer.header(scopes, request: Transport.shown(call.method, call.address))
            let answer = try await following(call, header)
            guard answer.status == 401, answer.address.origin == authorizer.origin, challenged < 2 else { return answer }
            challenged += 1
            if header != nil, challenged == 2 { return answer }
            let challenges = answer.challenges
            let refused = header
            if challenges.isEmpty { return answer }
            await Body.discard(answer.response)
            try await authorizer.answer(challenges, refused: refused, scopes)
            // The token is new; what was sent of the body cannot be sent again.
            if call.streamsOnce {
                throw RegistryError(.unavailable, "\(Transport.shown(call.method, call.address)): the token has run out")
            }
        }
    }

    /// Credentials go along only as long as the origin stays the same.
    fileprivate func following(_ call: Call, _ header: Authorizer.Header?) async throws -> Answer {
        var address = call.address
        for _ in 0...Self.redirects {
            var headers = call.headers
            if address.origin == authorizer.origin { header?.add(to: &headers) }
            let response = try await transport.send(call.method, address, headers: headers, body: try call.body?())
            let answer = Answer(response: response, address: address)
            guard [301, 302, 303, 307, 308].contains(answer.status), call.method == .GET || call.method == .HEAD else { return answer }
            await Body.discard(response)
            address = try Self.target(of: answer)
        }
        throw RegistryError(.invalidReply, "stopped after \(Self.redirects) redirects at \(call.address.shown)")
    }

    static func target(of answer: Answer) throws -> WebAddress {
        guard let location = answer.header("Location"), let target = answer.address.resolving(location) else {
            throw RegistryError(.invalidReply, "\(answer.address.shown) redirects to nowhere")
        }
        guard target.origin.scheme == "https" || answer.address.origin.scheme == "http" else {
            throw RegistryError(.invalidReply, "\(answer.address.shown) redirects away from TLS, to \(target.shown)")
        }
        return target
    }

    /// `Retry-After` in seconds. A date is left to our own measure.
    fileprivate static func retryAfter(_ answer: Answer) -> Duration? {
        answer.header("Retry-After").flatMap { UInt16($0) }.map { .seconds(Int($0)) }
    }
}

extension Exchange {
    /// The first answer, whatever its status, to a request without credentials. Busy registries are asked again.
    func unauthorized(_ call: Call) async throws -> Answer {
        var wait = BackOff(transport.configuration)
        while true {
            do {
                let answer = try await following(call, nil)
                guard [429, 500, 502, 503, 504].contains(answer.status), call.isRepeatable else { return answer }
                let retryAfter = Self.retryAfter(answer)
                try await wait.next(after: try await ErrorBody.error(answer.response, call.method, answer.address), retryAfter: retryAfter)
            } catch let error as RegistryError where error.kind == .connection && call.isRepeatable {
                try await wait.next(after: error)
            }
        }
    }
}
