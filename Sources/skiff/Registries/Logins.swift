import DockerAPI
import EngineClient
import FoundationEssentials
import OCI

/// What the user has for one registry.
struct StoredLogin: Sendable, Equatable {
    /// A helper marks an identity token by this name.
    static let tokenUser = "<token>"

    var user: String
    var password: String
    var identityToken = ""
    var registryToken = ""

    func config(for host: String) -> AuthConfig {
        var config = AuthConfig()
        config.serveraddress = host
        if !user.isEmpty { config.username = user }
        if !password.isEmpty { config.password = password }
        if !identityToken.isEmpty { config.identitytoken = identityToken }
        if !registryToken.isEmpty { config.registrytoken = registryToken }
        return config
    }
}

/// The logins of the user, wherever they are kept.
struct Logins: Sendable {
    private(set) var file: DockerConfigFile
    private let environment: [String: String]

    init(_ environment: [String: String]) throws {
        self.environment = environment
        file = try DockerConfigFile(environment: environment)
    }

    /// What there is for a registry, named by its host or as the file names it.
    func login(for host: String) async throws -> StoredLogin? {
        let key = DockerConfigFile.key(host)
        if let helper = file.helper(for: key) {
            return try await CredentialHelper(name: helper, environment: environment).get(key)
        }
        guard let entry = file.entry(for: key) else { return nil }
        var login = StoredLogin(user: entry["username"]?.string ?? "", password: entry["password"]?.string ?? "")
        login.identityToken = entry["identitytoken"]?.string ?? ""
        login.registryToken = entry["registrytoken"]?.string ?? ""
        if let text = entry["auth"]?.string, let bytes = Data(base64Encoded: text) {
            let pair = String(decoding: bytes, as: UTF8.self)
            guard let colon = pair.firstIndex(of: ":") else {
                throw CommandFailure("invalid auth configuration file: \(file.path)")
            }
            login.user = String(pair[..<colon])
            // Some programs have put zeros behind it.
            login.password = String(pair[pair.index(after: colon)...].prefix { $0 != "\0" })
        }
        return login == StoredLogin(user: "", password: "") ? nil : login
    }

    /// Keeps a login; answers whether the password now stands readable in the file.
    mutating func keep(_ login: StoredLogin, for host: String) async throws -> Bool {
        let key = DockerConfigFile.key(host)
        if let helper = file.helper(for: key) {
            try await CredentialHelper(name: helper, environment: environment).store(login, for: key)
            // The empty entry tells that there is something at the helper.
            file.set(.object([]), for: key)
            try file.save()
            return false
        }
        let pair = Data("\(login.user):\(login.identityToken.isEmpty ? login.password : "")".utf8).base64EncodedString()
        var entry: [(String, JSONValue)] = [("auth", .string(pair))]
        if !login.identityToken.isEmpty { entry.append(("identitytoken", .string(login.identityToken))) }
        file.set(.object(entry), for: key)
        try file.save()
        return true
    }

    /// Forgets a login; answers whether there was one.
    mutating func forget(_ host: String) async throws -> Bool {
        let key = DockerConfigFile.key(host)
        var found = false
        if let helper = file.helper(for: key) {
            found = try await CredentialHelper(name: helper, environment: environment).get(key) != nil
            if found { try await CredentialHelper(name: helper, environment: environment).erase(key) }
        }
        if file.remove(key) {
            try file.save()
            found = true
        }
        return found
    }

    // MARK: Headers

    /// `X-Registry-Auth` for the registry of an image; none when the user has no login there.
    func header(for reference: Reference) async throws -> [(String, String)] {
        guard let login = try await login(for: reference.domain) else { return [] }
        return [("X-Registry-Auth", try Self.encoded(login.config(for: DockerConfigFile.key(reference.domain))))]
    }

    /// `X-Registry-Config`: all logins, for a build, which may ask any registry.
    func allHeader() async throws -> [(String, String)] {
        var hosts = Set(file.hosts.map(DockerConfigFile.key)).union(file.helperHosts.map(DockerConfigFile.key))
        if let store = file.store {
            hosts.formUnion(try await CredentialHelper(name: store, environment: environment).hosts().map(DockerConfigFile.key))
        }
        var configs: [String: AuthConfig] = [:]
        for host in hosts {
            if let login = try await login(for: host) { configs[host] = login.config(for: host) }
        }
        return configs.isEmpty ? [] : [("X-Registry-Config", try Self.encoded(configs))]
    }

    private static func encoded(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        return try encoder.encode(value).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_")
    }
}
