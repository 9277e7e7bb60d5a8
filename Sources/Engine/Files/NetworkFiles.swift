import DockerAPI
import Linux
import Networking
import SystemPackage

/// `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` of a container: files of the engine that are bound into it.
struct NetworkFiles {
    let record: ContainerRecord
    let paths: ContainerPaths

    /// Written in place where they exist: a running container has the files, not their names. Blocks.
    func write(endpoint: EndpointInfo?) throws {
        try write(hosts(endpoint), paths.hosts)
        try write((record.config.Hostname ?? "") + "\n", paths.hostname)
        let host = record.hostConfig
        let resolver = HostResolver().content(servers: host.Dns ?? [], search: host.DnsSearch ?? [], options: host.DnsOptions ?? [])
        let own = host.NetworkMode != "host" || !(host.Dns ?? []).isEmpty || !(host.DnsSearch ?? []).isEmpty
        try write(own ? resolver : try hostFile("/etc/resolv.conf"), paths.resolvConf)
    }

    private func write(_ text: String, _ path: FilePath) throws {
        let file = try OwnedFD.open(path, [.writeOnly, .create, .truncate], mode: 0o644)
        try fchmod(file, mode: 0o644)
        try file.writeAll(Array(text.utf8))
    }

    private func hosts(_ endpoint: EndpointInfo?) throws -> String {
        let extra = try extraHosts(endpoint)
        if record.hostConfig.NetworkMode == "host" { return try hostFile("/etc/hosts") + extra }
        var text = """
            127.0.0.1\tlocalhost
            ::1\tlocalhost ip6-localhost ip6-loopback
            fe00::\tip6-localnet
            ff00::\tip6-mcastprefix
            ff02::1\tip6-allnodes
            ff02::2\tip6-allrouters

            """
        text += extra
        let hostname = record.config.Hostname ?? ""
        let domain = record.config.Domainname ?? ""
        let names = domain.isEmpty ? hostname : "\(hostname).\(domain) \(hostname)"
        for address in [endpoint?.ipv4, endpoint?.ipv6] {
            if let address, !address.isEmpty { text += "\(address)\t\(names)\n" }
        }
        return text
    }

    private func extraHosts(_ endpoint: EndpointInfo?) throws -> String {
        var text = ""
        for entry in record.hostConfig.ExtraHosts ?? [] {
            guard let colon = entry.firstIndex(where: { $0 == ":" || $0 == "=" }), !entry.utf8.contains(10) else {
                throw EngineError(.invalidArgument, "bad format for add-host: \"\(entry)\"")
            }
            let address = String(entry[entry.index(after: colon)...])
            let resolved = address == "host-gateway" ? endpoint?.ipv4Gateway ?? "127.0.0.1" : address
            text += "\(resolved)\t\(entry[..<colon])\n"
        }
        return text
    }

    /// Empty where the host has none.
    private func hostFile(_ path: FilePath) throws -> String {
        do {
            let file = try OwnedFD.open(path, .readOnly)
            return String(decoding: try file.readAll(limit: 1 << 20), as: UTF8.self)
        } catch {
            if error.meansMissing { return "" }
            throw error
        }
    }
}
