import Linux
import OCI
import SystemPackage

/// What an operator says about one host: of a registry, or of a mirror.
struct HostSettings: Sendable, Equatable {
    struct Certificate: Sendable, Equatable {
        var chain: FilePath
        /// The same file when it has both.
        var key: FilePath
    }

    enum Capability: String, Sendable, CaseIterable {
        /// Content is fetched by its digest.
        case pull
        /// It says which digest a tag means.
        case resolve
        case push
    }

    var address: WebAddress
    var capabilities: Set<Capability>
    var authorities: [FilePath] = []
    var certificates: [Certificate] = []
    var skipsVerification = false
    /// Sent with each request to this origin, and to no other one.
    var headers: [(name: String, value: String)] = []
    var dialTimeout: Duration?
    /// The address is where the API is, without `/v2`.
    var overridesPath = false

    static func == (left: HostSettings, right: HostSettings) -> Bool {
        left.address == right.address && left.capabilities == right.capabilities && left.authorities == right.authorities
            && left.certificates == right.certificates && left.skipsVerification == right.skipsVerification
            && left.headers.elementsEqual(right.headers, by: ==) && left.dialTimeout == right.dialTimeout
            && left.overridesPath == right.overridesPath
    }

    /// In front of `/<repository>/manifests/…`.
    var root: String { Self.root(address.path, overridesPath: overridesPath) }

    static func root(_ path: String, overridesPath: Bool) -> String {
        let path = path.hasSuffix("/") ? String(path.dropLast()) : path
        return overridesPath || path.hasSuffix("/v2") ? path : "\(path)/v2"
    }
}

/// `certs.d/<domain>/hosts.toml`, as containerd has it: where the images of a domain come from.
///
/// ```toml
/// server = "https://registry.example"         # the registry itself, asked last; settings as below may stand here for it
///
/// [host."https://mirror.example"]             # asked in the order of the file
///   capabilities = ["pull", "resolve"]        # all where nothing is said; "push" only where it is said
///   ca = "mirror.crt"                         # or a list; beside this file
///   client = [["client.cert", "client.key"]]
///   skip_verify = false
///   override_path = false                     # the address has the API's whole path
///   dial_timeout = "2s"
///   [host."https://mirror.example".header]
///     x-name = "value"
/// ```
/// Names that are not known are refused: a setting that does nothing would be believed to do something.
struct HostsFile: Sendable, Equatable {
    var server: HostSettings?
    var hosts: [HostSettings] = []

    static let name = "hosts.toml"
    private static let largest = 1 << 20

    /// The file for the images of a domain: in its own directory, or else in `_default`. Nil when there is none. May block.
    static func find(_ domain: String, in directories: [FilePath]) throws(RegistryError) -> HostsFile? {
        for folder in [domain, "_default"] {
            for directory in directories {
                let place = directory.appending(folder)
                let file = place.appending(name)
                do {
                    guard try lstatIfExists(file) != nil else { continue }
                    let bytes = try OwnedFD.open(file, .readOnly).readAll(limit: largest)
                    return try HostsFile(bytes, domain: domain, place: place)
                } catch {
                    throw RegistryError(.refused, "\(file): \(error)")
                }
            }
        }
        return nil
    }

    init(_ bytes: [UInt8], domain: String, place: FilePath) throws {
        guard case .object(let members) = try TOML.parse(bytes) else { return }
        var own: [(String, JSONValue)] = []
        var address = WebAddress.ofRegistry(domain)
        var isStated = false
        for (name, value) in members {
            switch name {
            case "server":
                address = try Self.address(value, name)
                // As containerd takes it: Docker's own registry answers at another host.
                if address.origin.host == "docker.io" { address = WebAddress.ofRegistry("docker.io") }
                isStated = true
            case "host":
                guard case .object(let entries) = value else { throw HostsFileError("host is no table") }
                hosts = try entries.map { url, settings in
                    guard case .object(let settings) = settings else { throw HostsFileError("host.\"\(url)\" is no table") }
                    return try Self.host(Self.address(.string(url), "host.\"\(url)\""), settings, "host.\"\(url)\".", place, isMirror: true)
                }
            default: own.append((name, value))
            }
        }
        if isStated || !own.isEmpty { server = try Self.host(address, own, "", place, isMirror: false) }
    }

    private static func host(
        _ address: WebAddress, _ members: [(String, JSONValue)], _ path: String, _ place: FilePath, isMirror: Bool
    ) throws -> HostSettings {
        // Whoever pushes means the registry, unless the operator says otherwise.
        var settings = HostSettings(address: address, capabilities: isMirror ? [.pull, .resolve] : [.pull, .resolve, .push])
        for (name, value) in members {
            let full = path + name
            switch name {
            case "capabilities":
                settings.capabilities = try Set(
                    strings(value, full).map { text in
                        guard let capability = HostSettings.Capability(rawValue: text) else {
                            throw HostsFileError("unknown capability \(text) in \(full)")
                        }
                        return capability
                    })
            case "ca": settings.authorities = try strings(value, full).map { place.pushing(FilePath($0)) }
            case "client": settings.certificates = try certificates(value, full, place)
            case "skip_verify": settings.skipsVerification = try flag(value, full)
            case "override_path": settings.overridesPath = try flag(value, full)
            case "dial_timeout":
                guard let text = value.string, let duration = duration(text), duration > .zero else {
                    throw HostsFileError("\(full) is no duration such as \"2s\"")
                }
                settings.dialTimeout = duration
            case "header":
                guard case .object(let headers) = value else { throw HostsFileError("\(full) is no table") }
                for (name, value) in headers {
                    for text in try strings(value, "\(full).\(name)") { settings.headers.append(try header(name, text, full)) }
                }
            default: throw HostsFileError("\(full) is not known")
            }
        }
        return settings
    }

    /// `"file"` or `["file"]` with certificate and key in it, and `[["certificate", "key"]]`.
    private static func certificates(_ value: JSONValue, _ name: String, _ place: FilePath) throws -> [HostSettings.Certificate] {
        let pairs = value.array ?? [value]
        guard pairs.count < 2 else { throw HostsFileError("\(name) names several certificates, of which only one can be shown") }
        return try pairs.map { element in
            let files = try strings(element, name).map { place.pushing(FilePath($0)) }
            guard (1...2).contains(files.count) else { throw HostsFileError("\(name) has to name a certificate and its key") }
            return HostSettings.Certificate(chain: files[0], key: files[files.count - 1])
        }
    }

    private static func header(_ name: String, _ value: String, _ path: String) throws -> (name: String, value: String) {
        let marks = Array("!#$%&'*+-.^_`|~".utf8)
        let isName = { (byte: UInt8) in
            Unicode.Scalar(byte).properties.isAlphabetic && byte < 0x80 || (0x30...0x39).contains(byte) || marks.contains(byte)
        }
        guard !name.isEmpty, name.utf8.allSatisfy(isName), value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
            throw HostsFileError("\(path).\(name) is no header")
        }
        return (name, value)
    }

    private static func address(_ value: JSONValue, _ name: String) throws -> WebAddress {
        guard let text = value.string else { throw HostsFileError("\(name) is no string") }
        guard let address = WebAddress(text.contains("://") ? text : "https://\(text)"), address.query == nil else {
            throw HostsFileError("\(name) is no address such as \"https://registry.example\"")
        }
        return address
    }

    private static func strings(_ value: JSONValue, _ name: String) throws -> [String] {
        if let text = value.string { return [text] }
        let texts = value.array?.compactMap(\.string)
        guard let texts, texts.count == value.array?.count else { throw HostsFileError("\(name) is neither a string nor a list of strings") }
        return texts
    }

    private static func flag(_ value: JSONValue, _ name: String) throws -> Bool {
        guard let flag = value.boolean else { throw HostsFileError("\(name) is neither true nor false") }
        return flag
    }

    /// `1m30s`, `250ms`, as Go writes durations, in whole numbers.
    static func duration(_ text: String) -> Duration? {
        let units: [(String, Duration)] = [("ms", .milliseconds(1)), ("h", .seconds(3600)), ("m", .seconds(60)), ("s", .seconds(1))]
        var (rest, sum) = (Substring(text), Duration.zero)
        repeat {
            let digits = rest.prefix { ("0"..."9").contains($0) }
            rest = rest.dropFirst(digits.count)
            guard digits.count <= 6, let number = Int(digits), let unit = units.first(where: { rest.hasPrefix($0.0) }) else { return nil }
            rest = rest.dropFirst(unit.0.count)
            sum += unit.1 * number
        } while !rest.isEmpty
        return sum <= .seconds(3600) ? sum : nil
    }
}

/// What is wrong with a hosts.toml.
struct HostsFileError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
