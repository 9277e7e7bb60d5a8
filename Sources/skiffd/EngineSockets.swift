import ArgumentParser
import EngineServer
import Linux
import Logging
import SystemPackage

/// Where clients come: sockets made here, one handed over by systemd, TCP ports.
struct EngineSockets {
    private(set) var places: [ListenerPlace] = []
    /// Of the sockets made here.
    private var files: [FilePath] = []
    private let security: TransportSecurity

    /// With no host named, what systemd has handed over, or else a socket in the exec root.
    init(hosts: [String], execRoot: FilePath, security: TransportSecurity, logger: Logger) throws {
        self.security = security
        let count = InheritedSocket.count
        let inherited = try InheritedSocket.take()
        var rest = hosts
        if let inherited {
            // Who may come in over a network is checked only for ports that are opened here.
            guard count == 1, try InheritedSocket.isLocal(inherited) else {
                throw ValidationError("one unix socket can be handed over; ports are opened by --host tcp://ADDRESS:PORT")
            }
            places.append(.socket(inherited.release()))
            rest.removeAll { $0.hasPrefix("fd://") }
        } else if hosts.isEmpty {
            rest = ["unix://\(execRoot.appending("docker.sock"))"]
        }
        for host in rest { try add(host, logger) }
    }

    private mutating func add(_ host: String, _ logger: Logger) throws {
        if host.hasPrefix("unix://") {
            let path = FilePath(String(host.dropFirst(7))).lexicallyNormalized()
            guard let name = path.lastComponent?.string else { throw ValidationError("no socket in '\(path)'") }
            let directory = try OwnedFD.open(path.removingLastComponent(), [.path, .directory])
            let listener = try UnixListener(name: name, in: directory)
            places.append(.socket(try listener.descriptor.duplicate().release()))
            files.append(path)
        } else if host.hasPrefix("tcp://") {
            places.append(try internet(host, logger))
        } else if host.hasPrefix("fd://") {
            throw ValidationError("no sockets found via socket activation: make sure the service was started by systemd")
        } else {
            throw ValidationError("cannot listen on '\(host)': unix://PATH, tcp://ADDRESS:PORT and fd:// are understood")
        }
    }

    private func internet(_ host: String, _ logger: Logger) throws -> ListenerPlace {
        let rest = host.dropFirst("tcp://".count).prefix { $0 != "/" }
        let hasPort = !rest.hasSuffix("]") && rest.contains(":")
        let mark = hasPort ? rest.lastIndex(of: ":") ?? rest.endIndex : rest.endIndex
        var address = String(rest[..<mark])
        if address.hasPrefix("["), address.hasSuffix("]") { address = String(address.dropFirst().dropLast()) }
        if address.isEmpty { address = "127.0.0.1" }
        let tls = try security.make()
        var port = tls == nil ? 2375 : 2376
        if hasPort {
            guard let given = UInt16(rest[rest.index(after: mark)...]) else { throw ValidationError("invalid port in '\(host)'") }
            port = Int(given)
        }
        try security.check(address, host, logger)
        return .internet(host: address, port: port, tls: tls)
    }

    /// The names go; connections that exist go on.
    func remove() throws {
        for file in files { try unlink(file) }
    }
}

/// Who gets in over TCP.
struct TransportSecurity: ParsableArguments {
    @Flag(help: "Encrypt TCP connections; implied by --tlsverify.")
    var tls = false

    @Flag(name: .customLong("tlsverify"), help: "Encrypt TCP connections, and let only clients in with a certificate of --tlscacert.")
    var verifies = false

    @Option(name: .customLong("tlscacert"), help: "The authority whose clients are let in, as a file in PEM form.")
    var authority = "/etc/skiff/ca.pem"

    @Option(name: .customLong("tlscert"), help: "The engine's certificate.")
    var certificate = "/etc/skiff/cert.pem"

    @Option(name: .customLong("tlskey"), help: "The key of that certificate.")
    var key = "/etc/skiff/key.pem"

    @Flag(
        name: .customLong("allow-root-for-everybody-over-tcp"),
        help: "Listen on other addresses than those of the machine itself, though nobody is asked for a certificate.")
    var allowsEverybody = false

    func make() throws -> ServerTLS? {
        guard tls || verifies else { return nil }
        do {
            return try ServerTLS(certificate: certificate, key: key, authority: verifies ? authority : nil)
        } catch {
            throw ValidationError(
                "could not load the TLS certificates (--tlscert \(certificate), --tlskey \(key)\(verifies ? ", --tlscacert \(authority)" : "")): \(error)"
            )
        }
    }

    /// Whoever speaks to the engine is root on this machine: an open port has to be wanted in so many words.
    func check(_ address: String, _ host: String, _ logger: Logger) throws {
        guard !verifies else { return }
        let isLocal = address == "localhost" || address == "::1" || address.hasPrefix("127.")
        guard isLocal || allowsEverybody else {
            throw ValidationError(
                "'\(host)' would make everybody root who can reach it: use --tlsverify, or say --allow-root-for-everybody-over-tcp")
        }
        logger.warning(
            "this port asks for no certificate: everybody who can reach it is root on this machine", metadata: ["host": "\(host)"])
    }
}
