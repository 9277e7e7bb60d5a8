import Linux
import OCI

extension NetworkDefinition {
    /// What the database keeps; id, name and time stand in columns of their own. A network of an earlier version has
    /// only the first three members.
    ///
    /// ```
    /// {"bridge": "skiff0", "ipv4": "172.30.0.0/16", "ipv6": "fd…::/64",
    ///  "driver": "bridge", "internal": false, "attachable": false, "labels": {…}, "options": {…},
    ///  "details4": {"range": "…", "gateway": "…", "reserved": {"router": "…"}}, "details6": {…}, "configFrom": "…"}
    /// ```
    var json: [UInt8] {
        JSONValue.object([
            ("bridge", .string(device)), ("ipv4", .string(ipv4?.prefix.description ?? "")),
            ("ipv6", .string(storedIPv6?.prefix.description ?? "")), ("driver", .string(driver.rawValue)),
            ("internal", .bool(isInternal)), ("attachable", .bool(isAttachable)), ("labels", Self.object(labels)),
            ("options", Self.object(options)), ("details4", Self.details(ipv4)), ("details6", Self.details(storedIPv6)),
            ("configFrom", .string(configuration)),
        ]).serialized()
    }

    /// Nil when a member cannot be understood.
    init?(id: String, name: String, created: String, json: [UInt8]) throws {
        let value = try JSONValue.parse(json)
        guard let device = value["bridge"]?.string else { return nil }
        let ipv4 = Self.subnet(value["ipv4"], value["details4"])
        let ipv6 = Self.subnet(value["ipv6"], value["details6"])
        guard ipv4 != nil || ipv6 != nil else { return nil }
        self.init(id: id, name: name, created: created, device: device, ipv4: ipv4, storedIPv6: ipv6)
        driver = value["driver"]?.string.flatMap(NetworkDriver.init(rawValue:)) ?? .bridge
        isInternal = value["internal"]?.boolean ?? false
        isAttachable = value["attachable"]?.boolean ?? false
        labels = Self.dictionary(value["labels"])
        options = Self.dictionary(value["options"])
        settings = try DriverOptions(options, driver: driver)
        configuration = value["configFrom"]?.string ?? ""
    }

    static func object(_ dictionary: [String: String]) -> JSONValue {
        .object(dictionary.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })
    }

    static func dictionary(_ value: JSONValue?) -> [String: String] {
        guard case .object(let members)? = value else { return [:] }
        return Dictionary(
            members.compactMap { member in member.1.string.map { (member.0, $0) } }, uniquingKeysWith: { first, _ in first })
    }

    private static func details(_ subnet: Subnet?) -> JSONValue {
        guard let subnet else { return .object([]) }
        return .object([
            ("range", .string(subnet.range?.description ?? "")), ("gateway", .string(subnet.gateway.description)),
            ("reserved", object(subnet.reserved.mapValues(\.description))),
        ])
    }

    private static func subnet(_ prefix: JSONValue?, _ details: JSONValue?) -> Subnet? {
        guard let prefix = prefix?.string.flatMap({ IPPrefix($0) }) else { return nil }
        return Subnet(
            prefix, range: details?["range"]?.string.flatMap { IPPrefix($0) },
            gateway: details?["gateway"]?.string.flatMap { IPAddress($0) },
            reserved: dictionary(details?["reserved"]).compactMapValues { IPAddress($0) })
    }
}
