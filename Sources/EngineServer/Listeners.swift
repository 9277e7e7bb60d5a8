import NIOCore
import NIOSSL

/// Where the API listens.
public enum ListenerPlace: Sendable {
    /// A listening socket, which is taken over.
    case socket(Int32)
    /// A TCP port. Without `tls` everybody who reaches it is root.
    case internet(host: String, port: Int, tls: ServerTLS?)

    var isPlainInternet: Bool {
        if case .internet(_, _, nil) = self { true } else { false }
    }
}

/// The engine's certificate, and whose clients it lets in.
public struct ServerTLS: Sendable {
    private let context: NIOSSLContext

    /// Files in PEM form. With `authority` only clients get in that show a certificate of it.
    public init(certificate: String, key: String, authority: String?) throws {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: key, format: .pem)))
        configuration.minimumTLSVersion = .tlsv12
        if let authority {
            configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(authority))
            // Who the client is matters, not where it is.
            configuration.certificateVerification = .noHostnameVerification
        }
        context = try NIOSSLContext(configuration: configuration)
    }

    func handler() -> NIOSSLServerHandler { NIOSSLServerHandler(context: context) }
}
