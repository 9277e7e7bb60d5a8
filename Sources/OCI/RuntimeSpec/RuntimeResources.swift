extension RuntimeSpec {
    /// Limits, kept by the container's cgroup. -1 is no limit.
    public struct Resources: Sendable, Equatable {
        public var memory: Memory?
        public var cpu: CPU?
        public var pids: Pids?
        public var devices: [DeviceRule]
        /// Files of cgroup version 2 and what to write to them.
        public var unified: [String: String]

        public init(
            memory: Memory? = nil, cpu: CPU? = nil, pids: Pids? = nil, devices: [DeviceRule] = [],
            unified: [String: String] = [:]
        ) {
            self.memory = memory
            self.cpu = cpu
            self.pids = pids
            self.devices = devices
            self.unified = unified
        }
    }

    /// Bytes; `swap` is memory and swap together.
    public struct Memory: Sendable, Equatable {
        public var limit: Int64?
        public var reservation: Int64?
        public var swap: Int64?
        public var swappiness: Int64?
        public var disableOOMKiller: Bool?

        public init(
            limit: Int64? = nil, reservation: Int64? = nil, swap: Int64? = nil, swappiness: Int64? = nil,
            disableOOMKiller: Bool? = nil
        ) {
            self.limit = limit
            self.reservation = reservation
            self.swap = swap
            self.swappiness = swappiness
            self.disableOOMKiller = disableOOMKiller
        }
    }

    /// `quota` microseconds of processor time in each `period` microseconds.
    public struct CPU: Sendable, Equatable {
        public var shares: Int64?
        public var quota: Int64?
        public var period: Int64?
        public var cpus: String?
        public var mems: String?

        public init(
            shares: Int64? = nil, quota: Int64? = nil, period: Int64? = nil, cpus: String? = nil, mems: String? = nil
        ) {
            self.shares = shares
            self.quota = quota
            self.period = period
            self.cpus = cpus
            self.mems = mems
        }
    }

    public struct Pids: Sendable, Equatable {
        public var limit: Int64?

        public init(limit: Int64? = nil) {
            self.limit = limit
        }
    }

    /// Opens or closes devices: `type` `a`, `b` or `c`, `access` of the letters `rwm`. nil is all.
    public struct DeviceRule: Sendable, Equatable {
        public var allow: Bool
        public var type: String?
        public var major: Int64?
        public var minor: Int64?
        public var access: String?

        public init(
            allow: Bool, type: String? = nil, major: Int64? = nil, minor: Int64? = nil, access: String? = nil
        ) {
            self.allow = allow
            self.type = type
            self.major = major
            self.minor = minor
            self.access = access
        }
    }
}

extension RuntimeSpec.Resources {
    public init(json: JSONValue) throws(JSONError) {
        try self.init(reader: try JSONReader(json))
    }

    init(reader: JSONReader) throws(JSONError) {
        memory = try reader.object("memory") { (reader) throws(JSONError) in
            RuntimeSpec.Memory(
                limit: try reader.int("limit"), reservation: try reader.int("reservation"),
                swap: try reader.int("swap"), swappiness: try reader.int("swappiness"),
                disableOOMKiller: try reader.bool("disableOOMKiller"))
        }
        cpu = try reader.object("cpu") { (reader) throws(JSONError) in
            RuntimeSpec.CPU(
                shares: try reader.int("shares"), quota: try reader.int("quota"), period: try reader.int("period"),
                cpus: try reader.string("cpus"), mems: try reader.string("mems"))
        }
        pids = try reader.object("pids") { (reader) throws(JSONError) in
            RuntimeSpec.Pids(limit: try reader.int("limit"))
        }
        devices = try reader.objects("devices") { (reader) throws(JSONError) in
            RuntimeSpec.DeviceRule(
                allow: try reader.bool("allow") ?? false, type: try reader.string("type"),
                major: try reader.int("major"), minor: try reader.int("minor"), access: try reader.string("access"))
        }
        unified = try reader.dictionary("unified")
    }

    public func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("memory", memory?.json())
        writer.add("cpu", cpu?.json())
        if let pids {
            var limits = JSONWriter()
            limits.add("limit", pids.limit)
            writer.add("pids", limits.value)
        }
        writer.add("devices", devices.map { $0.json() })
        writer.add("unified", unified)
        return writer.value
    }
}

extension RuntimeSpec.Memory {
    func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("limit", limit)
        writer.add("reservation", reservation)
        writer.add("swap", swap)
        writer.add("swappiness", swappiness)
        writer.add("disableOOMKiller", disableOOMKiller)
        return writer.value
    }
}

extension RuntimeSpec.CPU {
    func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("shares", shares)
        writer.add("quota", quota)
        writer.add("period", period)
        writer.add("cpus", cpus)
        writer.add("mems", mems)
        return writer.value
    }
}

extension RuntimeSpec.DeviceRule {
    func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("allow", allow)
        writer.add("type", type)
        writer.add("major", major)
        writer.add("minor", minor)
        writer.add("access", access)
        return writer.value
    }
}
