import DockerAPI
import Linux
import Networking
import SystemPackage

/// `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` of a container: files of the engine that are bound into it.
struct NetworkFiles {
    let record: ContainerRecord
    let paths: ContainerPaths

    /// The container whose network this one shares.
    var shared: ContainerPaths?

    /// Written in place where they exist: a running container has the files, not their names. Blocks.
    func write() throws {
        if let shared {
            try write(try hostFile(shared.hosts), paths.hosts)
            try write(try hostFile(shared.resolvConf), paths.resolvConf)
        } else {
            try write(hosts(), paths.hosts)
            try write(try resolver(), paths.resolvConf)
        }
        try write((record.config.Hostname ?? "") + "\n", paths.hostname)
    }

    private func resolver() throws -> String {
        let host = record.hostConfig
        let (servers, search, options) = (host.Dns ?? [], host.DnsSearch ?? [], host.DnsOptions ?? [])
        if host.NetworkMode == "host", servers.isEmpty, search.isEmpty { return try hostFile("/etc/resolv.conf") }
        // Who names servers on the default network means them alone, as with Docker.
        let isAlone = servers.isEmpty ? false : record.attachments.allSatisfy { $0.networkName == Networks.defaultNetwork }
        if record.attachments.isEmpty || isAlone {
            return HostResolver().content(servers: servers, search: search, options: options)
        }
        return HostResolver().contentForOwnServer(asked: servers, search: search, options: options)
    }

    private func write(_ text: String, _ path: FilePath) throws {
        let file = try OwnedFD.open(path, [.writeOnly, .create, .truncate], mode: 0o644)
        try fchmod(file, mode: 0o644)
        try file.writeAll(Array(text.utf8))
    }

    private func hosts() throws -> String {
        let extra = try extraHosts()
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
        for address in record.endpoints.flatMap({ [$0.ipv4, $0.ipv6] }) where !address.isEmpty { text += "\(address)\t\(names)\n" }
        return text
    }

    private func extraHosts() throws -> String {
        var text = ""
        let gateway = record.gatewayEndpoint
        for entry in record.hostConfig.ExtraHosts ?? [] {
            guard let colon = entry.firstIndex(where: { $0 == ":" || $0 == "=" }), !entry.utf8.contains(10) else {
                throw EngineError(.invalidArgument, "bad format for add-host: \"\(entry)\"")
            }
            let address = String(entry[entry.index(after: colon)...])
            // The host as the container sees it: the gateway of its default route.
            let host = [gateway?.ipv4Gateway, gateway?.ipv6Gateway].compactMap { $0 }.filter { !$0.isEmpty }
            let resolved = address == "host-gateway" ? (host.isEmpty ? ["127.0.0.1"] : host) : [address]
            for address in resolved { text += "\(address)\t\(entry[..<colon])\n" }
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
