import NIOCore
import NIOSSL

/// An encrypted connection to an engine, with the certificates of both sides.
public struct EngineTLS: Sendable {
    private let context: NIOSSLContext

    /// Files in PEM form. Without `authority` the machine's own authorities are trusted; without `verifies` anybody is.
    /// `certificate` and `key` show the engine who we are.
    public init(authority: String?, certificate: String?, key: String?, verifies: Bool) throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.certificateVerification = verifies ? .fullVerification : .none
        do {
            if let authority {
                configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(authority))
            }
            if let certificate, let key {
                configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) }
                configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: key, format: .pem))
            }
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            let files = [authority, certificate, key].compactMap(\.self).joined(separator: ", ")
            throw EngineConnectionError(.other, "could not read the certificates (\(files)): \(error)")
        }
    }

    func secure(_ channel: any Channel, _ address: EngineAddress) throws {
        guard case .tcp(let host, _) = address else { return }
        // A certificate that names an address is compared with that of the connection.
        let isAddress = (try? SocketAddress(ipAddress: host, port: 0)) != nil
        try channel.pipeline.syncOperations.addHandler(NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : host))
    }

    /// What is wrong, when it is the encryption.
    static func reason(of error: any Error) -> String? {
        switch error {
        case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError: "tls: \(error)"
        default: nil
        }
    }
}
