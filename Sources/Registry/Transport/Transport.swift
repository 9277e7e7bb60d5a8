import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// Sends single requests: knows certificates, proxies and time limits, but neither credentials nor redirects.
final class Transport: Sendable {
    let configuration: RegistryConfiguration
    private let connections: Connections
    private let host: (settings: HostSettings, origin: Origin)?
    private let tls = Mutex<[Origin: TLSConfiguration]>([:])

    init(_ configuration: RegistryConfiguration, group: any EventLoopGroup) {
        self.configuration = configuration
        connections = Connections(group)
        host = nil
    }

    private init(_ other: Transport, _ settings: HostSettings, _ origin: Origin) {
        configuration = other.configuration
        connections = other.connections
        host = (settings, origin)
    }

    /// The same connections, with what the operator says about a host.
    func with(_ settings: HostSettings, at origin: Origin) -> Transport { Transport(self, settings, origin) }

    /// What all requests of one client have in common.
    private struct ClientKey: Hashable {
        let proxy: ProxySettings.Proxy?
        /// The registry may be busy for long before it answers: it digests what was sent and puts it into its storage.
        let sends: Bool
        let dialTimeout: Duration?
    }

    private final class Connections: Sendable {
        let group: any EventLoopGroup
        let clients = Mutex<[ClientKey: HTTPClient]>([:])

        init(_ group: any EventLoopGroup) { self.group = group }
    }

    /// Closes all connections. To be called before the last owner lets go.
    func shutdown() async throws {
        let all = connections.clients.withLock { clients in
            defer { clients = [:] }
            return Array(clients.values)
        }
        for client in all { try await client.shutdown() }
    }

    /// Returns with the head of the answer. Errors of the connection are `RegistryError`s of the kind `connection`.
    func send(
        _ method: HTTPMethod, _ address: WebAddress, headers: HTTPHeaders, body: HTTPClientRequest.Body? = nil
    ) async throws -> HTTPClientResponse {
        var request = HTTPClientRequest(url: address.description)
        request.method = method
        request.headers = headers
        request.headers.replaceOrAdd(name: "User-Agent", value: "docker/28.2.2 (skiff)")
        request.body = body
        let host = host.flatMap { $0.origin == address.origin ? $0.settings : nil }
        for header in host?.headers ?? [] where !headers.contains(name: header.name) {
            request.headers.add(name: header.name, value: header.value)
        }
        if address.origin.scheme == "https" { request.tlsConfiguration = try trust(address.origin) }
        let key = ClientKey(
            proxy: configuration.proxies.proxy(for: address.origin), sends: method != .GET && method != .HEAD, dialTimeout: host?.dialTimeout)
        do {
            return try await client(key).execute(request, deadline: .distantFuture)
        } catch {
            throw Self.translated(error, method, address)
        }
    }

    /// Any error of a connection in words, with the request that it ended.
    static func translated(_ error: any Error, _ method: HTTPMethod, _ address: WebAddress) -> any Error {
        if error is CancellationError || error is RegistryError { return error }
        if let error = error as? HTTPClientError, error == .cancelled { return CancellationError() }
        return RegistryError(isNobody(error) ? .unreachable : .connection, "\(shown(method, address)): \(reason(error))")
    }

    /// Whether another try just now would find nobody either.
    private static func isNobody(_ error: any Error) -> Bool {
        switch error {
        case let error as NIOConnectionError: error.connectionErrors.last.map { isNobody($0.error) } ?? true
        case let error as IOError: error.errnoCode == 111 || error.errnoCode == 113  // ECONNREFUSED, EHOSTUNREACH
        default: error is NIOSSLError || "\(error)".contains("CERTIFICATE_VERIFY_FAILED")
        }
    }

    /// `Get "https://registry.example/v2/"`
    static func shown(_ method: HTTPMethod, _ address: WebAddress) -> String {
        "\(method.rawValue.prefix(1))\(method.rawValue.dropFirst().lowercased()) \"\(address.shown)\""
    }

    private static func reason(_ error: any Error) -> String {
        let text = "\(error)"
        if text.contains("WRONG_VERSION_NUMBER") || text.contains("HTTP_REQUEST") {
            return "http: server gave HTTP response to HTTPS client"
        }
        if text.contains("CERTIFICATE_VERIFY_FAILED") || text.contains("unableToValidateCertificate") || text.contains("noCertificateToValidate") {
            return "tls: failed to verify certificate: certificate is not trusted for this host"
        }
        switch error {
        case let error as HTTPClientError:
            switch error {
            case .connectTimeout, .tlsHandshakeTimeout, .readTimeout, .writeTimeout, .getConnectionFromPoolTimeout:
                return "i/o timeout (\(error.shortDescription))"
            case .remoteConnectionClosed: return "EOF"
            default: return error.shortDescription
            }
        case let error as NIOConnectionError:
            if let last = error.connectionErrors.last { return "dial tcp \(error.host):\(error.port): \(reason(last.error))" }
            return "dial tcp: lookup \(error.host): no such host"
        case let error as IOError: return reason(errno: error.errnoCode)
        default: return text
        }
    }

    private static func reason(errno: CInt) -> String {
        switch errno {
        case 111: "connect: connection refused"
        case 104: "connection reset by peer"
        case 110: "i/o timeout"
        case 113: "connect: no route to host"
        case 32: "broken pipe"
        default: "system error \(errno)"
        }
    }

    private func trust(_ origin: Origin) throws -> TLSConfiguration {
        if let known = tls.withLock({ $0[origin] }) { return known }
        let made: TLSConfiguration
        let settings = host.flatMap { $0.origin == origin ? $0.settings : nil }
        do {
            made = try Trust.configuration(for: origin, configuration, settings)
        } catch let error as NIOSSLError {
            throw RegistryError(.refused, "cannot use the certificates for \(origin.authority): \(error)")
        }
        tls.withLock { $0[origin] = made }
        return made
    }

    private func client(_ key: ClientKey) -> HTTPClient {
        connections.clients.withLock { clients in
            if let client = clients[key] { return client }
            let client = HTTPClient(eventLoopGroupProvider: .shared(connections.group), configuration: settings(key))
            clients[key] = client
            return client
        }
    }

    private func settings(_ key: ClientKey) -> HTTPClient.Configuration {
        let stall = TimeAmount(configuration.stallTimeout)
        let answer = key.sends ? max(stall, .minutes(10)) : stall
        var settings = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            timeout: .init(connect: key.dialTimeout.map { TimeAmount($0) } ?? min(stall, .seconds(10)), read: answer, write: stall + stall),
            decompression: .disabled)
        settings.httpVersion = .http1Only
        settings.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 32
        settings.connectionPool.retryConnectionEstablishment = false
        if let proxy = key.proxy {
            let authorization = proxy.authorization.map { secret in
                HTTPClient.Authorization.basic(credentials: Base64.encoded(Array(secret.reveal().utf8)))
            }
            settings.proxy = .server(host: proxy.host, port: proxy.port, authorization: authorization)
        }
        return settings
    }
}
