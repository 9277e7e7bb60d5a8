extension RuntimeSpec {
    /// How the kernel presents itself to the container (personality(2)): `LINUX` or `LINUX32`.
    public struct Personality: Sendable, Equatable {
        public var domain: String
        public var flags: [String]

        public init(domain: String, flags: [String] = []) {
            self.domain = domain
            self.flags = flags
        }
    }

    /// From which memory nodes the container is served: the words of set_mempolicy(2), `MPOL_…`.
    public struct MemoryPolicy: Sendable, Equatable {
        public var mode: String
        /// As in `0-3,7`.
        public var nodes: String?
        public var flags: [String]

        public init(mode: String, nodes: String? = nil, flags: [String] = []) {
            self.mode = mode
            self.nodes = nodes
            self.flags = flags
        }
    }

    /// Shares of the processor's caches and memory bandwidth, kept by the resctrl file system.
    public struct IntelRdt: Sendable, Equatable {
        public var closID: String?
        public var schemata: [String]
        public var l3CacheSchema: String?
        public var memBwSchema: String?
        public var enableMonitoring: Bool

        public init(
            closID: String? = nil, schemata: [String] = [], l3CacheSchema: String? = nil, memBwSchema: String? = nil,
            enableMonitoring: Bool = false
        ) {
            self.closID = closID
            self.schemata = schemata
            self.l3CacheSchema = l3CacheSchema
            self.memBwSchema = memBwSchema
            self.enableMonitoring = enableMonitoring
        }
    }

    /// An interface of the host that goes into the container.
    public struct NetDevice: Sendable, Equatable {
        /// The name on the host.
        public var hostName: String
        /// The name inside; nil keeps it. `%d` in it becomes the first free number.
        public var name: String?

        public init(hostName: String, name: String? = nil) {
            self.hostName = hostName
            self.name = name
        }
    }
}

extension RuntimeSpec.Personality {
    init(reader: JSONReader) throws(JSONError) {
        domain = try reader.required("domain", try reader.string("domain"))
        flags = try reader.strings("flags")
    }

    func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("domain", domain)
        writer.add("flags", flags)
        return writer.value
    }
}

extension RuntimeSpec.MemoryPolicy {
    init(reader: JSONReader) throws(JSONError) {
        mode = try reader.required("mode", try reader.string("mode"))
        nodes = try reader.string("nodes")
        flags = try reader.strings("flags")
    }

    func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("mode", mode)
        writer.add("nodes", nodes)
        writer.add("flags", flags)
        return writer.value
    }
}

extension RuntimeSpec.IntelRdt {
    init(reader: JSONReader) throws(JSONError) {
        closID = try reader.string("closID")
        schemata = try reader.strings("schemata")
        l3CacheSchema = try reader.string("l3CacheSchema")
        memBwSchema = try reader.string("memBwSchema")
        enableMonitoring = try reader.bool("enableMonitoring") ?? false
    }

    func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("closID", closID)
        writer.add("schemata", schemata)
        writer.add("l3CacheSchema", l3CacheSchema)
        writer.add("memBwSchema", memBwSchema)
        writer.add("enableMonitoring", enableMonitoring ? JSONValue.bool(true) : nil)
        return writer.value
    }
}

extension RuntimeSpec.NetDevice {
    /// Reads the whole table, which is an object by the names on the host.
    static func table(_ value: JSONValue?, _ reader: JSONReader) throws(JSONError) -> [RuntimeSpec.NetDevice] {
        guard let value else { return [] }
        guard case .object(let members) = value else { throw reader.wrong("netDevices", "an object") }
        var devices: [RuntimeSpec.NetDevice] = []
        for (hostName, member) in members {
            let name = try JSONReader(member, "linux.netDevices.\(hostName)").string("name")
            devices.append(RuntimeSpec.NetDevice(hostName: hostName, name: name == "" ? nil : name))
        }
        return devices
    }

    static func json(_ devices: [RuntimeSpec.NetDevice]) -> JSONValue? {
        if devices.isEmpty { return nil }
        return .object(
            devices.map { device in
                (device.hostName, .object(device.name.map { [("name", .string($0))] } ?? []))
            })
    }
}
