import FoundationEssentials
import Linux
import OCI
import SystemPackage

/// `~/.docker/config.json`: what the user has logged in to, and which programs keep the passwords. Names that are not ours
/// to know stay in it as they are.
struct DockerConfigFile: Sendable {
    /// Docker's own registry goes by this name in the file.
    static let dockerHub = "https://index.docker.io/v1/"

    let path: FilePath
    private var members: [(String, JSONValue)]

    /// `DOCKER_CONFIG`, or `.docker` in the user's home.
    static func folder(_ environment: [String: String]) -> FilePath {
        let home = FilePath(environment["HOME"] ?? "/root")
        return environment["DOCKER_CONFIG"].flatMap { $0.isEmpty ? nil : FilePath($0) } ?? home.appending(".docker")
    }

    /// As if there were no file.
    init(emptyFor environment: [String: String]) {
        path = Self.folder(environment).appending("config.json")
        members = []
    }

    /// Reads the file; a missing one is empty.
    init(environment: [String: String]) throws {
        path = Self.folder(environment).appending("config.json")
        guard FileManager.default.fileExists(atPath: path.string) else {
            members = []
            return
        }
        do {
            let bytes = try OwnedFD.open(path, .readOnly).readAll(limit: 16 << 20)
            guard case .object(let members) = bytes.isEmpty ? .object([]) : try JSONValue.parse(bytes, limits: .init(bytes: 16 << 20)) else {
                throw JSONError("the document is not an object")
            }
            self.members = members
        } catch {
            throw CommandFailure("Error loading config file: \(path): \(Failure.text(error))")
        }
    }

    // MARK: Settings of the client

    /// The named engine that commands speak to; nil is the usual one.
    var currentContext: String? {
        get { text("currentContext") }
        set {
            members.removeAll { $0.0 == "currentContext" }
            if let newValue { members.append(("currentContext", .string(newValue))) }
        }
    }

    /// Goes with every request to the engine.
    var headers: [(String, String)] { object("HttpHeaders").compactMap { name, value in value.string.map { (name, $0) } } }

    /// `label=…` for all `prune` commands.
    var pruneFilters: [String] { (self["pruneFilters"]?.array ?? []).compactMap(\.string) }

    /// A setting that is a text, `psFormat` for instance; nil where it is not set.
    func text(_ name: String) -> String? { self[name]?.string.flatMap { $0.isEmpty ? nil : $0 } }

    /// The variables that tell a container of an engine's proxies, in both spellings.
    func proxyVariables(host: String) -> [(name: String, value: String)] {
        let proxies = object("proxies")
        let chosen = (proxies.first { $0.0 == host } ?? proxies.first { $0.0 == "default" })?.1
        let names = [
            ("HTTP_PROXY", "httpProxy"), ("HTTPS_PROXY", "httpsProxy"), ("NO_PROXY", "noProxy"), ("FTP_PROXY", "ftpProxy"), ("ALL_PROXY", "allProxy"),
        ]
        return names.flatMap { variable, key -> [(name: String, value: String)] in
            guard let value = chosen?[key]?.string, !value.isEmpty else { return [] }
            return [(variable, value), (variable.lowercased(), value)]
        }
    }

    // MARK: Logins

    /// The hosts with an entry in the file itself.
    var hosts: [String] { object("auths").map(\.0) }
    var helperHosts: [String] { object("credHelpers").map(\.0) }
    /// The program for everything that has none of its own.
    var store: String? { self["credsStore"]?.string.flatMap { $0.isEmpty ? nil : $0 } }

    /// The program that keeps the credentials of a host; nil when they stand in the file.
    func helper(for host: String) -> String? {
        object("credHelpers").first { Self.plainHost($0.0) == Self.plainHost(host) }?.1.string ?? store
    }

    /// What stands in the file for a host, under its name or as an address.
    func entry(for host: String) -> JSONValue? {
        let entries = object("auths")
        return (entries.first { $0.0 == host } ?? entries.first { Self.plainHost($0.0) == Self.plainHost(host) })?.1
    }

    mutating func set(_ entry: JSONValue, for host: String) {
        var entries = object("auths").filter { $0.0 != host }
        entries.append((host, entry))
        replace("auths", entries)
    }

    /// Whether there was one.
    @discardableResult
    mutating func remove(_ host: String) -> Bool {
        let entries = object("auths")
        let rest = entries.filter { Self.plainHost($0.0) != Self.plainHost(host) }
        replace("auths", rest)
        return rest.count < entries.count
    }

    /// Replaces the file in one step; only its owner can read it.
    func save() throws {
        try FileManager.default.createDirectory(
            atPath: path.removingLastComponent().string, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        // A link stays one: its target is replaced.
        let target = (try? FileManager.default.destinationOfSymbolicLink(atPath: path.string)).map { FilePath($0) }
        let place = target.map { $0.isAbsolute ? $0 : path.removingLastComponent().appending($0.components) } ?? path
        try writeAtomically(JSONValue.object(members).serialized(indented: true), to: place, mode: 0o600, sync: true)
    }

    /// `https://index.docker.io/v1/`, `index.docker.io` and `docker.io` are one; others lose scheme and path.
    static func plainHost(_ address: String) -> String {
        var rest = address[...]
        if let scheme = rest.firstRange(of: "://") { rest = rest[scheme.upperBound...] }
        let host = String(rest.prefix { $0 != "/" }).lowercased()
        return ["index.docker.io", "registry-1.docker.io"].contains(host) ? "docker.io" : host
    }

    /// The name of a host in the file.
    static func key(_ host: String) -> String {
        let plain = plainHost(host)
        return plain == "docker.io" ? dockerHub : plain
    }

    private subscript(_ name: String) -> JSONValue? { members.first { $0.0 == name }?.1 }

    private func object(_ name: String) -> [(String, JSONValue)] {
        if case .object(let members)? = self[name] { members } else { [] }
    }

    private mutating func replace(_ name: String, _ entries: [(String, JSONValue)]) {
        if let index = members.firstIndex(where: { $0.0 == name }) {
            members[index].1 = .object(entries)
        } else {
            members.append((name, .object(entries)))
        }
    }
}
