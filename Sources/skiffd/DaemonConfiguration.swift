import ArgumentParser
import FoundationEssentials
import Linux
import OCI
import Registry
import SystemPackage

/// The file with what the operator says about registries, devices and the network, in Docker's names where Docker has one:
///
/// ```json
/// {
///   "registry-mirrors": ["https://mirror.example"],
///   "insecure-registries": ["registry.local:5000", "10.0.0.0/8"],
///   "max-concurrent-downloads": 3, "max-concurrent-uploads": 5, "max-download-attempts": 5,
///   "stall-timeout": 20, "cdi-spec-dirs": ["/etc/cdi"], "host-input-policy": true,
///   "registries": {
///     "quay.io": {
///       "mirrors": ["https://one.example", {"url": "https://two.example/quay", "username": "me", "password-file": "/etc/skiff/two"}],
///       "auth-hosts": ["sso.example"]
///     }
///   }
/// }
/// ```
/// Names that are not known are refused: a setting that does nothing would be believed to do something.
struct DaemonConfiguration {
    static let usualFile = "/etc/skiff/skiffd.json"

    struct Mirror {
        var url: String
        var user: String?
        var passwordFile: String?
    }

    struct RegistrySettings {
        var mirrors: [Mirror] = []
        var authHosts: [String] = []
    }

    var registryMirrors: [String] = []
    var insecureRegistries: [String] = []
    var maxConcurrentDownloads: Int?
    var maxConcurrentUploads: Int?
    var maxDownloadAttempts: Int?
    /// In seconds.
    var stallTimeout: Int?
    var registries: [String: RegistrySettings] = [:]
    var cdiSpecDirs: [String] = []
    /// Whether the host's own rules for what comes in decide about published ports.
    var followsInputPolicy = false

    /// Reads the file. The usual one may be missing.
    static func load(_ path: String) throws -> DaemonConfiguration {
        if path == usualFile, try lstatIfExists(FilePath(path)) == nil { return DaemonConfiguration() }
        do {
            let bytes = try OwnedFD.open(FilePath(path), .readOnly).readAll(limit: 1 << 20)
            return try DaemonConfiguration(JSONValue.parse(bytes))
        } catch {
            throw ValidationError("unable to configure skiffd with file \(path): \(error)")
        }
    }

    private init() {}

    init(_ value: JSONValue) throws {
        for (name, value) in try Self.members(value, "the file") {
            switch name {
            case "registry-mirrors": registryMirrors = try Self.strings(value, name)
            case "insecure-registries": insecureRegistries = try Self.strings(value, name)
            case "max-concurrent-downloads": maxConcurrentDownloads = try Self.number(value, name)
            case "max-concurrent-uploads": maxConcurrentUploads = try Self.number(value, name)
            case "max-download-attempts": maxDownloadAttempts = try Self.number(value, name)
            case "cdi-spec-dirs": cdiSpecDirs = try Self.strings(value, name)
            case "host-input-policy": followsInputPolicy = try Self.flag(value, name)
            case "stall-timeout": stallTimeout = try Self.number(value, name)
            case "registries":
                for (host, value) in try Self.members(value, name) { registries[host] = try Self.registry(value, "registries.\(host)") }
            default: throw JSONError("the following directives don't match any configuration option: \(name)")
            }
        }
    }

    /// What of it concerns the registry client.
    func registryConfiguration() throws -> RegistryConfiguration {
        var configuration = RegistryConfiguration()
        configuration.mirrors["docker.io"] = try registryMirrors.map { try Self.mirror(Mirror(url: $0)) }
        for (host, settings) in registries {
            configuration.mirrors[host, default: []] += try settings.mirrors.map { try Self.mirror($0) }
            configuration.authenticationHosts[host] = settings.authHosts
        }
        configuration.insecure = insecureRegistries
        configuration.concurrentDownloads = try Self.positive(maxConcurrentDownloads ?? 3, "max concurrent downloads")
        configuration.concurrentUploads = try Self.positive(maxConcurrentUploads ?? 5, "max concurrent uploads")
        configuration.attempts = try Self.positive(maxDownloadAttempts ?? 5, "max download attempts")
        configuration.stallTimeout = .seconds(try Self.positive(stallTimeout ?? 20, "stall timeout"))
        return configuration
    }

    private static func positive(_ number: Int, _ name: String) throws -> Int {
        guard (1...1000).contains(number) else { throw ValidationError("invalid \(name): \(number)") }
        return number
    }

    private static func mirror(_ mirror: Mirror) throws -> RegistryConfiguration.Mirror {
        guard let address = WebAddress(mirror.url), address.query == nil else {
            throw ValidationError("invalid mirror: \(mirror.url) is not a valid URI; a user name and a password do not belong there")
        }
        guard let user = mirror.user else { return .init(address: address) }
        guard let file = mirror.passwordFile else { throw ValidationError("invalid mirror: \(mirror.url) has a username but no password-file") }
        let bytes = try OwnedFD.open(FilePath(file), .readOnly).readAll(limit: 64 << 10)
        let password = String(decoding: bytes, as: UTF8.self).prefix { $0 != "\n" && $0 != "\r\n" }
        return .init(address: address, credentials: .password(user: user, Secret(String(password))))
    }

    private static func registry(_ value: JSONValue, _ path: String) throws -> RegistrySettings {
        var settings = RegistrySettings()
        for (name, value) in try members(value, path) {
            switch name {
            case "mirrors":
                guard let items = value.array else { throw JSONError("\(path).mirrors is not an array") }
                settings.mirrors = try items.map { try mirror($0, "\(path).mirrors") }
            case "auth-hosts": settings.authHosts = try strings(value, "\(path).auth-hosts")
            default: throw JSONError("the following directives don't match any configuration option: \(path).\(name)")
            }
        }
        return settings
    }

    private static func mirror(_ value: JSONValue, _ path: String) throws -> Mirror {
        if let url = value.string { return Mirror(url: url) }
        guard let url = value["url"]?.string else { throw JSONError("\(path) has an entry without a url") }
        for (name, _) in try members(value, path) where !["url", "username", "password-file"].contains(name) {
            throw JSONError("the following directives don't match any configuration option: \(path).\(name)")
        }
        return Mirror(url: url, user: value["username"]?.string, passwordFile: value["password-file"]?.string)
    }

    private static func members(_ value: JSONValue, _ path: String) throws -> [(String, JSONValue)] {
        guard case .object(let members) = value else { throw JSONError("\(path) is not an object") }
        return members
    }

    private static func strings(_ value: JSONValue, _ name: String) throws -> [String] {
        let strings = value.array?.compactMap(\.string)
        guard let strings, strings.count == value.array?.count else { throw JSONError("\(name) is not an array of strings") }
        return strings
    }

    private static func flag(_ value: JSONValue, _ name: String) throws -> Bool {
        guard let flag = value.boolean else { throw JSONError("\(name) is neither true nor false") }
        return flag
    }

    private static func number(_ value: JSONValue, _ name: String) throws -> Int {
        guard let number = value.integer.flatMap({ Int(exactly: $0) }) else { throw JSONError("\(name) is not a number") }
        return number
    }
}
