import Linux
public import SystemPackage

/// Content for a container's `/etc/resolv.conf`, made from the host's.
///
/// Name servers on loopback addresses are of no use in a container. When the host has no others, those that
/// systemd-resolved asks itself are taken, and when there are none either, the list stays empty.
public struct HostResolver: Sendable {
    /// systemd's own list stands in for one that names nothing but its resolver.
    public static let standardPaths: [FilePath] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"]

    private let paths: [FilePath]

    /// `paths` are read in this order; the first that names a usable server wins.
    public init(paths: [FilePath] = HostResolver.standardPaths) {
        self.paths = paths
    }

    /// Reads the host's files. A file that cannot be read counts as empty. Blocks for a moment.
    ///
    /// Values that are not empty replace the host's (`--dns`, `--dns-search`, `--dns-option`); a search of `.` means none.
    public func content(servers: [String] = [], search: [String] = [], options: [String] = []) -> String {
        var best = ResolverFile()
        for path in paths {
            var file = ResolverFile(text: text(of: path))
            if best.search.isEmpty { best.search = file.search }
            if best.options.isEmpty { best.options = file.options }
            file.servers.removeAll(where: isLoopback)
            if !file.servers.isEmpty {
                best.servers = file.servers
                break
            }
        }
        if !servers.isEmpty { best.servers = servers }
        if !search.isEmpty { best.search = search == ["."] ? [] : search }
        if !options.isEmpty { best.options = options }
        return best.text
    }

    /// The same for a container whose questions the engine answers: its own server is the only one, and names without a dot
    /// are asked about as they are. `asked` are the servers behind it, for whoever reads the file.
    public func contentForOwnServer(asked servers: [String], search: [String] = [], options: [String] = []) -> String {
        var file = ResolverFile(text: content(servers: [NameSockets.address.description], search: search, options: options))
        if !file.options.contains(where: { $0.hasPrefix("ndots:") }) { file.options.append("ndots:0") }
        let behind = servers.isEmpty ? "the host's name servers" : "[\(servers.joined(separator: " "))]"
        return "# Written by Skiff: names of containers are answered here, all others by the servers behind.\n"
            + file.text + "# ExtServers: \(behind)\n"
    }

    /// The servers that the host itself asks: those of the first file that names one.
    func servers() -> [String] {
        for path in paths {
            // An address with a zone means nothing without its device.
            let servers = ResolverFile(text: text(of: path)).servers.filter { !$0.contains("%") }
            if !servers.isEmpty { return servers }
        }
        return []
    }

    /// Differs when one of the files has changed.
    func stamp() -> [String] { paths.map(text) }

    private func text(of path: FilePath) -> String {
        do {
            let file = try OwnedFD.open(path, .readOnly)
            return String(decoding: try file.readAll(limit: 1 << 20), as: UTF8.self)
        } catch {
            return ""  // A host without the file has no name servers to offer; that is no failure.
        }
    }
}

/// The lines of resolv.conf(5) that matter.
struct ResolverFile: Equatable {
    var servers: [String] = []
    var search: [String] = []
    var options: [String] = []

    init() {}

    init(text: String) {
        for line in text.split(whereSeparator: \.isNewline) {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
            guard let keyword = words.first else { continue }
            switch keyword {
            case "nameserver": servers += words.dropFirst().prefix(1)
            case "search", "domain": search = Array(words.dropFirst())  // The last line wins.
            case "options": options += words.dropFirst()
            default: break
            }
        }
    }

    var text: String {
        var lines = servers.map { "nameserver \($0)" }
        if !search.isEmpty { lines.append("search " + search.joined(separator: " ")) }
        if !options.isEmpty { lines.append("options " + options.joined(separator: " ")) }
        return lines.map { $0 + "\n" }.joined()
    }
}

/// Loopback or link-local with a zone of the host: neither can be reached from a container.
private func isLoopback(_ server: String) -> Bool {
    server.hasPrefix("127.") || server == "::1" || server == "0.0.0.0" || server == "::" || server.contains("%")
}
