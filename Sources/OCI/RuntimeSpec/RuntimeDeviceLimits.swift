extension RuntimeSpec {
    /// Limits on what goes to and from disks.
    public struct BlockIO: Sendable, Equatable {
        /// 10...1000
        public var weight: UInt32?
        /// Against the groups below this one; only version 1 knows it.
        public var leafWeight: UInt32?
        public var weightDevice: [WeightDevice]
        public var throttleReadBpsDevice: [ThrottleDevice]
        public var throttleWriteBpsDevice: [ThrottleDevice]
        public var throttleReadIOPSDevice: [ThrottleDevice]
        public var throttleWriteIOPSDevice: [ThrottleDevice]

        public init(
            weight: UInt32? = nil, leafWeight: UInt32? = nil, weightDevice: [WeightDevice] = [],
            throttleReadBpsDevice: [ThrottleDevice] = [], throttleWriteBpsDevice: [ThrottleDevice] = [],
            throttleReadIOPSDevice: [ThrottleDevice] = [], throttleWriteIOPSDevice: [ThrottleDevice] = []
        ) {
            self.weight = weight
            self.leafWeight = leafWeight
            self.weightDevice = weightDevice
            self.throttleReadBpsDevice = throttleReadBpsDevice
            self.throttleWriteBpsDevice = throttleWriteBpsDevice
            self.throttleReadIOPSDevice = throttleReadIOPSDevice
            self.throttleWriteIOPSDevice = throttleWriteIOPSDevice
        }
    }

    public struct WeightDevice: Sendable, Equatable {
        public var major: Int64
        public var minor: Int64
        public var weight: UInt32?
        public var leafWeight: UInt32?

        public init(major: Int64, minor: Int64, weight: UInt32? = nil, leafWeight: UInt32? = nil) {
            self.major = major
            self.minor = minor
            self.weight = weight
            self.leafWeight = leafWeight
        }
    }

    /// Bytes or operations in a second.
    public struct ThrottleDevice: Sendable, Equatable {
        public var major: Int64
        public var minor: Int64
        public var rate: UInt64

        public init(major: Int64, minor: Int64, rate: UInt64) {
            self.major = major
            self.minor = minor
            self.rate = rate
        }
    }

    /// Bytes in pages of one size, `2MB`; -1 is no limit.
    public struct HugepageLimit: Sendable, Equatable {
        public var pageSize: String
        public var limit: Int64

        public init(pageSize: String, limit: Int64) {
            self.pageSize = pageSize
            self.limit = limit
        }
    }

    /// Marks of the container's packets for the host's traffic rules; only version 1 knows them.
    public struct Network: Sendable, Equatable {
        public struct Priority: Sendable, Equatable {
            public var name: String
            public var priority: UInt32

            public init(name: String, priority: UInt32) {
                self.name = name
                self.priority = priority
            }
        }

        public var classID: UInt32?
        public var priorities: [Priority]

        public init(classID: UInt32? = nil, priorities: [Priority] = []) {
            self.classID = classID
            self.priorities = priorities
        }
    }

    public struct RdmaLimit: Sendable, Equatable {
        public var device: String
        public var hcaHandles: UInt32?
        public var hcaObjects: UInt32?

        public init(device: String, hcaHandles: UInt32? = nil, hcaObjects: UInt32? = nil) {
            self.device = device
            self.hcaHandles = hcaHandles
            self.hcaObjects = hcaObjects
        }
    }
}

extension RuntimeSpec.BlockIO {
    init(reader: JSONReader) throws(JSONError) {
        weight = try reader.unsigned32("weight")
        leafWeight = try reader.unsigned32("leafWeight")
        weightDevice = try reader.objects("weightDevice", RuntimeSpec.WeightDevice.init(reader:))
        throttleReadBpsDevice = try reader.objects("throttleReadBpsDevice", RuntimeSpec.ThrottleDevice.init(reader:))
        throttleWriteBpsDevice = try reader.objects("throttleWriteBpsDevice", RuntimeSpec.ThrottleDevice.init(reader:))
        throttleReadIOPSDevice = try reader.objects("throttleReadIOPSDevice", RuntimeSpec.ThrottleDevice.init(reader:))
        throttleWriteIOPSDevice = try reader.objects("throttleWriteIOPSDevice", RuntimeSpec.ThrottleDevice.init(reader:))
    }

    func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("weight", weight)
        writer.add("leafWeight", leafWeight)
        writer.add("weightDevice", weightDevice.map { $0.json() })
        writer.add("throttleReadBpsDevice", throttleReadBpsDevice.map { $0.json() })
        writer.add("throttleWriteBpsDevice", throttleWriteBpsDevice.map { $0.json() })
        writer.add("throttleReadIOPSDevice", throttleReadIOPSDevice.map { $0.json() })
        writer.add("throttleWriteIOPSDevice", throttleWriteIOPSDevice.map { $0.json() })
        return writer.value
    }
}

extension RuntimeSpec.WeightDevice {
    init(reader: JSONReader) throws(JSONError) {
        major = try reader.required("major", try reader.int("major"))
        minor = try reader.required("minor", try reader.int("minor"))
        weight = try reader.unsigned32("weight")
        leafWeight = try reader.unsigned32("leafWeight")
    }

    func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("major", major)
        writer.add("minor", minor)
        writer.add("weight", weight)
        writer.add("leafWeight", leafWeight)
        return writer.value
    }
}

extension RuntimeSpec.ThrottleDevice {
    init(reader: JSONReader) throws(JSONError) {
        major = try reader.required("major", try reader.int("major"))
        minor = try reader.required("minor", try reader.int("minor"))
        rate = try reader.unsigned("rate") ?? 0
    }

    func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("major", major)
        writer.add("minor", minor)
        writer.add("rate", rate)
        return writer.value
    }
}

extension RuntimeSpec.HugepageLimit {
    init(reader: JSONReader) throws(JSONError) {
        pageSize = try reader.required("pageSize", try reader.string("pageSize"))
        limit = try reader.required("limit", try reader.limit("limit"))
    }

    func json() -> JSONValue {
        .object([("pageSize", .string(pageSize)), ("limit", limit < 0 ? .unsigned(.max) : .int(limit))])
    }
}

extension RuntimeSpec.Network {
    init(reader: JSONReader) throws(JSONError) {
        classID = try reader.unsigned32("classID")
        priorities = try reader.objects("priorities") { (reader) throws(JSONError) in
            Priority(
                name: try reader.required("name", try reader.string("name")),
                priority: try reader.required("priority", try reader.unsigned32("priority")))
        }
    }

    func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("classID", classID)
        writer.add(
            "priorities",
            priorities.map { .object([("name", .string($0.name)), ("priority", .int(Int64($0.priority)))]) })
        return writer.value
    }
}

extension RuntimeSpec.RdmaLimit {
    /// Reads the whole table, which is an object by the names of devices.
    static func table(_ value: JSONValue?, _ reader: JSONReader) throws(JSONError) -> [RuntimeSpec.RdmaLimit] {
        guard let value else { return [] }
        guard case .object(let members) = value else { throw reader.wrong("rdma", "an object") }
        var limits: [RuntimeSpec.RdmaLimit] = []
        for (device, member) in members {
            let reader = try JSONReader(member, "linux.resources.rdma.\(device)")
            limits.append(
                RuntimeSpec.RdmaLimit(
                    device: device, hcaHandles: try reader.unsigned32("hcaHandles"),
                    hcaObjects: try reader.unsigned32("hcaObjects")))
        }
        return limits
    }

    static func json(_ limits: [RuntimeSpec.RdmaLimit]) -> JSONValue? {
        if limits.isEmpty { return nil }
        return .object(
            limits.map { limit in
                var writer = JSONWriter()
                writer.add("hcaHandles", limit.hcaHandles)
                writer.add("hcaObjects", limit.hcaObjects)
                return (limit.device, writer.value)
            })
    }
}
