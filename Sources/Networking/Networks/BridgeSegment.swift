import Linux

/// A further bridge of a network. A bridge of Linux has room for 1,023 ports; a network that needs more gets more bridges, each
/// joined to the first one by a cable of its own:
///
/// ```
/// skiff0 (addresses, gateway) ══ vsk… vsk… vsk…
///   ╚═ su1-… ═══ sd1-… ══ sg1-… ══ vsk… vsk… vsk…
///   ╚═ su2-… ═══ sd2-… ══ sg2-… ══ vsk…
/// ```
/// For the host there is the first bridge alone: the others have no address, ask and answer nothing, and what is sent to them is
/// dropped. Everything here blocks.
struct BridgeSegment: Sendable, Equatable {
    /// From 1 on.
    let number: Int
    let networkID: String
    var link: UInt32 = 0
    /// The end of the cable in this bridge.
    var port: UInt32 = 0

    var device: String { Self.name("sg", number, networkID) }
    /// The cable's end in the first bridge.
    private var upper: String { Self.name("su", number, networkID) }
    private var lower: String { Self.name("sd", number, networkID) }

    private static func name(_ kind: String, _ number: Int, _ networkID: String) -> String { "\(kind)\(number)-\(networkID.prefix(8))" }

    /// Whether it is a device of one of the network's segments.
    static func isDevice(_ name: String, of networkID: String) -> Bool {
        isDevice(name) && name.hasSuffix("-" + networkID.prefix(8))
    }

    /// Whether a device of that name would be taken for one of a segment's.
    static func isDevice(_ name: String) -> Bool {
        guard ["sg", "su", "sd"].contains(where: name.hasPrefix), name.utf8.count > 11 else { return false }
        let (number, id) = (name.dropFirst(2).dropLast(9), name.suffix(9))
        return (1...999).contains(Int(number) ?? 0) && id.first == "-" && id.dropFirst().allSatisfy(\.isHexDigit)
    }

    /// The number in the name of the bridge of one of the network's segments; nil for every other name.
    private static func number(in name: String, of networkID: String) -> Int? {
        name.hasPrefix("sg") && isDevice(name, of: networkID) ? Int(name.dropFirst(2).dropLast(9)) : nil
    }

    /// All up to the last that is on the host, and so many that there are at least `count`; down as long as they are new.
    static func all(of network: NetworkDefinition, atLeast count: Int) throws -> [BridgeSegment] {
        var socket = try RouteSocket()
        let last = try socket.links().filter { $0.kind == "bridge" }.compactMap { number(in: $0.name, of: network.id) }.max() ?? 0
        return try (0..<max(count, last)).map { try make($0 + 1, of: network) }
    }

    /// The bridges of the networks' segments that are on the host, whoever made them, by network.
    static func devices(of networkIDs: [String]) throws -> [String: [String]] {
        var socket = try RouteSocket()
        let names = try socket.links().filter { $0.kind == "bridge" && isDevice($0.name) }.map(\.name)
        return Dictionary(uniqueKeysWithValues: networkIDs.map { id in (id, names.filter { number(in: $0, of: id) != nil }) })
    }

    /// Finds or makes the bridge and its cable.
    static func make(_ number: Int, of network: NetworkDefinition) throws -> BridgeSegment {
        var segment = BridgeSegment(number: number, networkID: network.id)
        var socket = try RouteSocket()
        let name = segment.device
        if try socket.link(named: name) == nil { try socket.createBridge(name, hardwareAddress: randomHardwareAddress()) }
        guard let bridge = try socket.link(named: name), bridge.kind == "bridge" else {
            throw NetworkError.unexpected("network device \(name) exists and is not a bridge")
        }
        segment.link = bridge.index
        if bridge.mtu != network.mtu { try socket.setMTU(bridge.index, network.mtu) }
        if network.isOfContainersAlone { try socket.floodGroups(bridge.index) }
        if try socket.link(named: segment.upper) == nil {
            let home = try NetworkNamespace.current()
            try socket.createVeth(
                VethPair(
                    name: segment.upper, master: network.link, peerName: segment.lower, peerHardwareAddress: randomHardwareAddress(),
                    peerNamespace: home.raw, mtu: network.mtu))
        }
        guard let upper = try socket.link(named: segment.upper), let lower = try socket.link(named: segment.lower) else {
            throw NetworkError.unexpected("network device \(segment.upper) is not as it was made")
        }
        segment.port = lower.index
        if upper.master != network.link || !upper.isUp { try socket.setMaster(upper.index, network.link) }
        // What is redirected to somebody on the bridge that it came from is turned round on the first one.
        if try EndpointLink.firewallSeesBridgedFrames { try socket.setHairpin(segment.upper) }
        // Those who must not reach each other must not do so from bridge to bridge either: known before the cable leads anywhere.
        if !network.settings.connectsContainers { try socket.setIsolated(segment.upper) }
        if lower.master != bridge.index || !lower.isUp { try socket.setMaster(lower.index, bridge.index) }
        // Frames for the gateway go there from the first one on, and nobody can draw them to himself.
        try socket.setWay(to: network.hardwareAddress, port: lower.index)
        return segment
    }

    private static func randomHardwareAddress() -> [UInt8] { [0x02, 0x5c] + (0..<4).map { _ in UInt8.random(in: 0...255) } }

    /// Sets the bridge up. Comes after the firewall.
    func activate() throws {
        var socket = try RouteSocket()
        if try NetworkSettings.read("ipv6/conf/\(device)/disable_ipv6") == 0 { try NetworkSettings.write("ipv6/conf/\(device)/disable_ipv6", 1) }
        try socket.setUp(link, asksNeighbours: false)
    }

    func remove() throws {
        var socket = try RouteSocket()
        for name in [upper, device] { if let link = try socket.link(named: name) { try socket.deleteLink(link.index) } }
    }

    /// Removes all of a network, whoever made them.
    static func removeAll(networkID: String) throws {
        var socket = try RouteSocket()
        for link in try socket.links() where isDevice(link.name, of: networkID) && ["bridge", "veth"].contains(link.kind) {
            try socket.deleteLink(link.index)
        }
    }
}

/// On which of its bridges each endpoint of a network is, by the host's end of its cable. The first has the number 0.
struct BridgePlaces: Sendable {
    /// A bridge takes no more endpoints than that.
    let size: Int
    private var numbers: [String: Int] = [:]
    private var counts = [0]

    init(size: Int) {
        self.size = size
    }

    /// The first bridge with room; one that is not there yet when all are full.
    mutating func take(_ interface: String) -> Int {
        if let number = numbers[interface] { return number }
        let number = counts.firstIndex { $0 < size } ?? counts.count
        note(interface, number)
        return number
    }

    /// What was found on the host.
    mutating func note(_ interface: String, _ number: Int) {
        release(interface)
        while counts.count <= number { counts.append(0) }
        numbers[interface] = number
        counts[number] += 1
    }

    mutating func release(_ interface: String) {
        guard let number = numbers.removeValue(forKey: interface) else { return }
        counts[number] -= 1
    }

    /// Whether the last of so many bridges besides the first can go. It stays as long as the others are nearly full, or one
    /// container that comes and goes would make and remove it each time.
    func canDoWithout(_ number: Int) -> Bool {
        counts.dropFirst(number).allSatisfy { $0 == 0 } && numbers.count * 4 <= number * size * 3
    }

    /// So many bridges besides the first do for these endpoints.
    func needed(for endpoints: Int) -> Int { max(0, endpoints - 1) / size }
}
