/// The flags before the command.
enum GlobalFlags {
    static let host = Flag<[String]>.list("host", short: "H", "Address of the engine: unix:///path, tcp://host:port or ssh://user@host")
    static let config = Flag<String>.text("config", "Folder of the client's configuration (default ~/.docker)")
    static let context = Flag<String>.text("context", short: "c", "Named engine, in place of DOCKER_HOST and of the current context")
    static let tls = Flag<Bool>.toggle("tls", "Encrypt the connection; implied by --tlsverify")
    static let tlsVerify = Flag<Bool>.toggle("tlsverify", "Encrypt the connection and check the engine's certificate")
    static let tlsAuthority = Flag<String>.text("tlscacert", "Trust certificates of this authority (default ~/.docker/ca.pem)")
    static let tlsCertificate = Flag<String>.text("tlscert", "Our certificate (default ~/.docker/cert.pem)")
    static let tlsKey = Flag<String>.text("tlskey", "Our key (default ~/.docker/key.pem)")
    static let debug = Flag<Bool>.toggle("debug", short: "D", "Show more about errors")
    static let logLevel = Flag<String>.text(
        "log-level", short: "l", initially: "info", "How much the client tells: debug, info, warn, error or fatal"
    ) {
        guard ["debug", "info", "warn", "warning", "error", "fatal", "panic", "trace"].contains($0.lowercased()) else {
            throw FlagValueError("not a valid logrus Level: \"\($0)\"")
        }
    }
    static let version = Flag<Bool>.toggle("version", short: "v", "Show the version and end")

    static var all: [any FlagDefinition] {
        [host, config, context, tls, tlsVerify, tlsAuthority, tlsCertificate, tlsKey, debug, logLevel, version]
    }
}
