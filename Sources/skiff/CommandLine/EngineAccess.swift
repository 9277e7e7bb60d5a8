import EngineClient
import FoundationEssentials
import Linux
import SystemPackage

/// Which engine is meant, how it is reached, and how it is started when it is ours and not there.
///
/// In this order: `--context`, `-H`, `SKIFF_HOST` or `DOCKER_HOST`, `DOCKER_CONTEXT`, the current context, our own socket.
struct EngineAccess: Sendable {
    static let defaultSocket = "/run/skiff/docker.sock"

    /// `default` is the engine of `-H` and the environment.
    let contextName: String
    private let host: String?
    private let global: FlagValues
    private let environment: [String: String]
    private let config: DockerConfigFile
    private let programName: String

    init(_ global: FlagValues, _ environment: [String: String], _ config: DockerConfigFile, programName: String) throws {
        let hosts = global[GlobalFlags.host]
        guard hosts.count < 2 else { throw UsageError("specify only one -H") }
        let named = global[GlobalFlags.context]
        guard hosts.isEmpty || named.isEmpty else { throw UsageError("conflicting options: cannot specify both --host and --context") }
        func variable(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        let ofEnvironment = variable("SKIFF_HOST") ?? variable("DOCKER_HOST")
        host = hosts.first ?? ofEnvironment
        if !named.isEmpty {
            contextName = named
        } else if host != nil {
            contextName = ContextStore.standard
        } else {
            contextName = variable("DOCKER_CONTEXT") ?? config.currentContext ?? ContextStore.standard
        }
        self.global = global
        self.environment = environment
        self.config = config
        self.programName = programName
    }

    /// A context by its name; the standard one is made up of what the user says otherwise.
    func context(_ name: String) throws -> EngineContextMetadata {
        guard name == ContextStore.standard else { return try ContextStore(environment: environment).load(name) }
        return EngineContextMetadata(
            name: name, description: "Current DOCKER_HOST based configuration",
            host: try host.map { "\(try EngineAddress($0))" } ?? "unix://\(Self.defaultSocket)", skipsVerification: false)
    }

    func client() throws -> EngineClient {
        let address: EngineAddress
        var settings = EngineConnectionSettings()
        settings.headers = try headers()
        do {
            let context = try context(contextName)
            address = try EngineAddress(context.host)
            settings.tls = contextName == ContextStore.standard ? try standardTLS() : try tls(of: context)
        } catch let error as CommandFailure {
            throw CommandFailure("Failed to initialize: unable to resolve docker endpoint: \(error.message)")
        }
        if case .ssh = address {
            let dial = SSHDial(address: address, remoteProgram: programName, environment: environment)
            settings.dial = { try await dial.connect() }
        }
        var start: (@Sendable () async throws -> Void)?
        if address == .unix(path: Self.defaultSocket), CurrentProcess.effectiveUserID == 0 {
            let starting = EngineStart(environment: environment)
            start = { try await starting.run() }
        }
        return EngineClient(
            address: address, settings: settings, fixedVersion: environment["DOCKER_API_VERSION"], startEngine: start)
    }

    /// For commands that speak to no engine.
    func nobody() -> EngineClient {
        EngineClient(address: .unix(path: "/nonexistent"))
    }

    /// Those of the environment take the place of those in the configuration.
    private func headers() throws -> [(String, String)] {
        guard let text = environment["DOCKER_CUSTOM_HEADERS"], !text.isEmpty else { return config.headers }
        return try CommaList.split(text).map { field in
            let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, !parts[0].isEmpty else {
                throw CommandFailure(
                    "failed to parse custom headers from DOCKER_CUSTOM_HEADERS environment variable: value must be formatted as comma-separated key=value pairs"
                )
            }
            return (parts[0], parts[1])
        }
    }

    // MARK: Certificates

    private func isSet(_ name: String) -> Bool { environment[name]?.isEmpty == false }

    /// What flags and environment say.
    func standardTLS() throws -> EngineTLS? {
        let verifies = global.isGiven(GlobalFlags.tlsVerify) ? global[GlobalFlags.tlsVerify] : isSet("DOCKER_TLS_VERIFY")
        guard verifies || global[GlobalFlags.tls] || isSet("DOCKER_TLS") else { return nil }
        let folder = environment["DOCKER_CERT_PATH"].flatMap { $0.isEmpty ? nil : FilePath($0) } ?? DockerConfigFile.folder(environment)
        func file(_ flag: Flag<String>, _ name: String, mayBeMissing: Bool) -> String? {
            if !global[flag].isEmpty { return global[flag] }
            let usual = folder.appending(name).string
            return !mayBeMissing || FileManager.default.fileExists(atPath: usual) ? usual : nil
        }
        return try EngineTLS(
            authority: file(GlobalFlags.tlsAuthority, "ca.pem", mayBeMissing: !verifies),
            certificate: file(GlobalFlags.tlsCertificate, "cert.pem", mayBeMissing: true),
            key: file(GlobalFlags.tlsKey, "key.pem", mayBeMissing: true), verifies: verifies)
    }

    private func tls(of context: EngineContextMetadata) throws -> EngineTLS? {
        let folder = ContextStore(environment: environment).certificateFolder(context.name).appending("docker")
        func file(_ name: String) -> String? {
            let path = folder.appending(name).string
            return FileManager.default.fileExists(atPath: path) ? path : nil
        }
        let files = ContextStore.certificateNames.map(file)
        guard context.skipsVerification || files.contains(where: { $0 != nil }) else { return nil }
        return try EngineTLS(authority: files[0], certificate: files[1], key: files[2], verifies: !context.skipsVerification)
    }
}
