import DockerAPI
import Linux
import Networking

/// The body of `POST /networks/create` as the networks' own request; what is not available is refused.
struct NetworkCreation {
    let request: NetworkCreateRequest

    func make() throws -> NetworkRequest {
        func refuse(_ what: String, when condition: Bool) throws(EngineError) {
            if condition { throw EngineError(.notImplemented, "\(what) is not available in this version of Skiff") }
        }
        try refuse("Ingress (--ingress)", when: request.Ingress == true)
        guard ["", "local"].contains(request.Scope ?? "") else {
            throw EngineError(.notImplemented, "networks of scope \(request.Scope ?? "") are not available in this version of Skiff")
        }
        let driver = request.IPAM?.Driver ?? ""
        guard ["", "default"].contains(driver) else {
            throw EngineError(.notFound, "could not find plugin \(driver) in v1 plugin registry: plugin not found")
        }
        guard (request.IPAM?.Options ?? [:]).isEmpty else {
            throw EngineError(.notImplemented, "options of the IPAM driver are not available in this version of Skiff")
        }
        var wanted = NetworkRequest(name: request.Name ?? "", driver: request.Driver ?? "")
        wanted.wantsIPv4 = request.EnableIPv4
        wanted.wantsIPv6 = request.EnableIPv6
        wanted.isInternal = request.Internal == true
        wanted.isAttachable = request.Attachable == true
        wanted.isConfiguration = request.ConfigOnly == true
        wanted.configuration = request.ConfigFrom?.Network ?? ""
        wanted.labels = request.Labels ?? [:]
        wanted.options = request.Options ?? [:]
        wanted.subnets = (request.IPAM?.Config ?? []).map {
            NetworkInfo.Subnet(
                $0.Subnet ?? "", range: $0.IPRange ?? "", gateway: $0.Gateway ?? "", reserved: $0.AuxiliaryAddresses ?? [:])
        }
        return wanted
    }
}

/// What `network prune` spares.
enum NetworkPrune {
    static let builtIn: Set<String> = ["bridge", "host", "none"]

    /// `until=`: a time, or how long ago; in seconds since 1970.
    static func moment(_ text: String) throws -> Int64 {
        if let time = Timestamp(rfc3339: text) { return time.seconds }
        if let seconds = Int64(text) { return seconds }
        let units: [Character: Int64] = ["h": 3600, "m": 60, "s": 1]
        var total: Int64 = 0
        var digits = ""
        for character in text {
            if character.isNumber {
                digits.append(character)
            } else if let unit = units[character], let amount = Int64(digits), amount < 1 << 32 {
                total += amount * unit
                digits = ""
            } else {
                throw EngineError(.invalidArgument, "invalid value for \"until\": \(text)")
            }
        }
        guard digits.isEmpty, !text.isEmpty else { throw EngineError(.invalidArgument, "invalid value for \"until\": \(text)") }
        return Timestamp.now().seconds - total
    }
}

extension NetworkInspect {
    /// Without its containers.
    init(_ network: NetworkInfo) {
        self.init(named: network.name, id: network.id, driver: network.driver)
        Created = network.created
        EnableIPv4 = network.hasIPv4
        EnableIPv6 = network.hasIPv6
        Internal = network.isInternal
        Attachable = network.isAttachable
        Labels = network.labels
        ConfigOnly = network.isConfiguration
        ConfigFrom?.Network = network.configuration
        IPAM?.Config = network.subnets.map {
            var config = IPAMConfig()
            config.Subnet = $0.prefix
            if !$0.gateway.isEmpty || !network.isConfiguration { config.Gateway = $0.gateway }
            if !$0.range.isEmpty { config.IPRange = $0.range }
            if !$0.reserved.isEmpty { config.AuxiliaryAddresses = $0.reserved }
            return config
        }
        Options = network.options
        if network.name == Networks.defaultNetwork {
            Options = [
                "com.docker.network.bridge.default_bridge": "true", "com.docker.network.bridge.name": network.device,
                "com.docker.network.driver.mtu": "\(network.mtu)",
            ]
        }
    }

    init(builtIn name: String, driver: String, id: String) {
        self.init(named: name, id: id, driver: driver)
        Created = SavedState.never
    }

    private init(named name: String, id: String, driver: String) {
        self.init()
        Name = name
        Id = id
        Driver = driver
        Scope = "local"
        EnableIPv4 = true
        EnableIPv6 = false
        Internal = false
        Attachable = false
        Ingress = false
        ConfigOnly = false
        var from = ConfigReference()
        from.Network = ""
        ConfigFrom = from
        Containers = [:]
        Options = [:]
        Labels = [:]
        var ipam = DockerAPI.IPAM()
        ipam.Driver = "default"
        ipam.Config = []
        IPAM = ipam
    }
}
