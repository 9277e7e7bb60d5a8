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

    /// Reads the file; a missing one is empty.
    init(environment: [String: String]) throws {
        let home = FilePath(environment["HOME"] ?? "/root")
        let folder = environment["DOCKER_CONFIG"].flatMap { $0.isEmpty ? nil : FilePath($0) } ?? home.appending(".docker")
        path = folder.appending("config.json")
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
