import OCI

extension EndpointInfo {
    /// The form in the database; the ids stand in columns of their own.
    var json: [UInt8] {
        func list(_ ports: [PublishedPort]) -> JSONValue {
            .array(
                ports.map { port in
                    JSONValue.object(
                        [
                            ("address", .string(port.hostAddress)), ("port", .int(Int64(port.hostPort))),
                            ("container", .int(Int64(port.containerPort))), ("proto", .string(port.proto.rawValue)),
                        ] + (port.count > 1 ? [("count", .int(Int64(port.count)))] : []))
                })
        }
        return JSONValue.object([
            ("networkName", .string(networkName)), ("endpointID", .string(endpointID)),
            ("ipv4", .string(ipv4)), ("ipv4PrefixLength", .int(Int64(ipv4PrefixLength))),
            ("ipv4Gateway", .string(ipv4Gateway)),
            ("ipv6", .string(ipv6)), ("ipv6PrefixLength", .int(Int64(ipv6PrefixLength))),
            ("ipv6Gateway", .string(ipv6Gateway)),
            ("mac", .string(macAddress)), ("interface", .string(hostInterface)), ("ports", list(ports)),
            ("device", .string(interface)), ("isGateway", .bool(isGateway)), ("isInternal", .bool(isInternal)),
            ("names", .array(names.map { .string($0) })), ("driver", .string(driver)),
            ("receivingRate", .int(receivingRate ?? 0)), ("sendingRate", .int(sendingRate ?? 0)), ("open", list(openPorts ?? [])),
            ("moving", .bool(isMoving ?? false)),
        ]).serialized()
    }

    /// Nil when a member is missing or of the wrong kind.
    init?(containerID: String, networkID: String, json: [UInt8]) throws {
        let value = try JSONValue.parse(json)
        guard let networkName = value["networkName"]?.string, let endpointID = value["endpointID"]?.string,
            let ipv4 = value["ipv4"]?.string, let ipv4PrefixLength = value["ipv4PrefixLength"]?.integer,
            let ipv4Gateway = value["ipv4Gateway"]?.string,
            let ipv6 = value["ipv6"]?.string, let ipv6PrefixLength = value["ipv6PrefixLength"]?.integer,
            let ipv6Gateway = value["ipv6Gateway"]?.string,
            let mac = value["mac"]?.string, let interface = value["interface"]?.string,
            let ports = value["ports"]?.array
        else { return nil }
        self.init(
            containerID: containerID, networkName: networkName, networkID: networkID, endpointID: endpointID,
            ipv4: ipv4,
            ipv4PrefixLength: Int(ipv4PrefixLength), ipv4Gateway: ipv4Gateway, ipv6: ipv6,
            ipv6PrefixLength: Int(ipv6PrefixLength), ipv6Gateway: ipv6Gateway, macAddress: mac,
            ports: ports.compactMap(PublishedPort.init(json:)), hostInterface: interface,
            interface: value["device"]?.string ?? "eth0", isGateway: value["isGateway"]?.boolean ?? true,
            isInternal: value["isInternal"]?.boolean ?? false,
            names: (value["names"]?.array ?? []).compactMap(\.string),
            driver: value["driver"]?.string ?? "bridge")
        let open = (value["open"]?.array ?? []).compactMap(PublishedPort.init(json:))
        openPorts = open.isEmpty ? nil : open
        isMoving = value["moving"]?.boolean == true ? true : nil
        setRates(receiving: value["receivingRate"]?.integer ?? 0, sending: value["sendingRate"]?.integer ?? 0)
    }
}

extension PublishedPort {
    fileprivate init?(json: JSONValue) {
        guard let address = json["address"]?.string,
            let port = json["port"]?.integer.flatMap(UInt16.init(exactly:)),
            let container = json["container"]?.integer.flatMap(UInt16.init(exactly:)),
            let proto = json["proto"]?.string.flatMap(TransportProtocol.init(rawValue:))
        else { return nil }
        self.init(hostAddress: address, hostPort: port, containerPort: container, proto: proto)
        let count = json["count"]?.integer ?? 1
        guard (1...65535).contains(count) else { return nil }
        self.count = Int(count)
        guard isValid else { return nil }
    }
}
