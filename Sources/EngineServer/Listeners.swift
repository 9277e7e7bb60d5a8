import NIOCore
import NIOSSL

/// Where the API listens.
public enum ListenerPlace: Sendable {
    /// A listening socket, which is taken over.
    case socket(Int32)
    /// A TCP port. Without `tls` everybody who reaches it is root.
    case internet(host: String, port: Int, tls: ServerTLS?)

    /// Everybody who can open a connection gets in.
    var isOpenToEverybody: Bool {
        if case .internet(_, _, let tls) = self { tls?.asksForCertificates != true } else { false }
    }

    /// Of a port without encryption: by which names it is meant. A page that has its own name point here says another.
    var names: [String]? {
        if case .internet(let host, _, nil) = self { ["localhost", host] } else { nil }
    }
}

/// The engine's certificate, and whose clients it lets in.
public struct ServerTLS: Sendable {
    private let context: NIOSSLContext
    let asksForCertificates: Bool

    /// Files in PEM form. With `authority` only clients get in that show a certificate of it.
    public init(certificate: String, key: String, authority: String?) throws {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: key, format: .pem)))
        configuration.minimumTLSVersion = .tlsv12
        asksForCertificates = authority != nil
        // HTTP knows where an answer ends: nobody waits long for the other side to say goodbye.
        configuration.shutdownTimeout = .milliseconds(500)
        if let authority {
            configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(authority))
            // Who the client is matters, not where it is.
            configuration.certificateVerification = .noHostnameVerification
        }
        context = try NIOSSLContext(configuration: configuration)
    }

    func handler() -> NIOSSLServerHandler { NIOSSLServerHandler(context: context) }
}
