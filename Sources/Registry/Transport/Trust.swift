import Linux
import NIOSSL
import SystemPackage

/// Whose certificates are believed for a host, and which one we show.
enum Trust {
    /// The TLS settings for an origin: the system's authorities and those of `certs.d/<host>[:<port>]`, with a client
    /// certificate if there is one there.
    ///
    /// A host without a trusted certificate is taken as it is when the operator has named it, or when it is this machine;
    /// but not if an authority was put into `certs.d` for it: then that is meant to count.
    /// What `hosts.toml` says of the host comes in addition.
    static func configuration(
        for origin: Origin, _ configuration: RegistryConfiguration, _ host: HostSettings? = nil
    ) throws -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        var files = try certificateFiles(origin, configuration.certificateDirectories)
        files.authorities += host?.authorities ?? []
        if let stated = host?.certificates.first { files.certificate = (stated.chain, stated.key) }
        // The library names no file.
        for file in files.authorities where try lstatIfExists(file) == nil {
            throw RegistryError(.refused, "the certificate \(file) for \(origin.authority) is not there")
        }
        // Not their names: connections and contexts are kept as long as the settings are the same.
        tls.additionalTrustRoots = try files.authorities.map { .certificates(try NIOSSLCertificate.fromPEMFile($0.string)) }
        if let certificate = files.certificate {
            tls.certificateChain = try NIOSSLCertificate.fromPEMFile(certificate.chain.string).map { .certificate($0) }
            tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: certificate.key.string, format: .pem))
        }
        if host?.skipsVerification ?? false || (files.authorities.isEmpty && configuration.isInsecure(origin)) {
            tls.certificateVerification = .none
        }
        return tls
    }

    /// Whether plain http may be spoken with the host.
    static func allowsPlain(_ origin: Origin, _ configuration: RegistryConfiguration) throws -> Bool {
        guard configuration.isInsecure(origin) else { return false }
        return try certificateFiles(origin, configuration.certificateDirectories).authorities.isEmpty
    }

    private struct Files {
        var authorities: [FilePath] = []
        var certificate: (chain: FilePath, key: FilePath)?
    }

    private static func certificateFiles(_ origin: Origin, _ directories: [FilePath]) throws -> Files {
        for directory in directories {
            for name in Set([origin.authority, origin.hostAndPort]).sorted() {
                let place = directory.appending(name)
                guard try lstatIfExists(place) != nil else { continue }
                return try files(in: place)
            }
        }
        return Files()
    }

    private static func files(in place: FilePath) throws -> Files {
        var files = Files()
        let names = try namesInDirectory(OwnedFD.open(place, [.readOnly, .directory])).map(\.description).sorted()
        for name in names {
            if name.hasSuffix(".crt") {
                files.authorities.append(place.appending(name))
            } else if name.hasSuffix(".cert") {
                let key = "\(name.dropLast(5)).key"
                guard names.contains(key) else {
                    throw RegistryError(.refused, "missing key \(key) for client certificate \(name) in \(place)")
                }
                files.certificate = (place.appending(name), place.appending(key))
            } else if name.hasSuffix(".key"), !names.contains("\(name.dropLast(4)).cert") {
                throw RegistryError(.refused, "missing client certificate \(name.dropLast(4)).cert for key \(name) in \(place)")
            }
        }
        return files
    }
}
