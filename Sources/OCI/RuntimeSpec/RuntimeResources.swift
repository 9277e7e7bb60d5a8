extension RuntimeSpec {
    /// Limits, kept by the container's cgroup. -1 is no limit.
    public struct Resources: Sendable, Equatable {
        public var memory: Memory?
        public var cpu: CPU?
        public var pids: Pids?
        public var devices: [DeviceRule]
        /// Files of cgroup version 2 and what to write to them.
        public var unified: [String: String]
        public var blockIO: BlockIO?
        public var hugepageLimits: [HugepageLimit]
        public var network: Network?
        public var rdma: [RdmaLimit]

        public init(
            memory: Memory? = nil, cpu: CPU? = nil, pids: Pids? = nil, devices: [DeviceRule] = [],
            unified: [String: String] = [:], blockIO: BlockIO? = nil, hugepageLimits: [HugepageLimit] = [],
            network: Network? = nil, rdma: [RdmaLimit] = []
        ) {
            self.memory = memory
            self.cpu = cpu
            self.pids = pids
            self.devices = devices
            self.unified = unified
            self.blockIO = blockIO
            self.hugepageLimits = hugepageLimits
            self.network = network
            self.rdma = rdma
        }
    }

    /// Bytes; `swap` is memory and swap together.
    public struct Memory: Sendable, Equatable {
        public var limit: Int64?
        public var reservation: Int64?
        public var swap: Int64?
        public var swappiness: Int64?
        public var disableOOMKiller: Bool?
        /// The kernel's own memory. Kernels from 6.1 on have no such limit.
        public var kernel: Int64?
        /// Buffers of TCP sockets.
        public var kernelTCP: Int64?
        public var useHierarchy: Bool?
        /// A limit below what is in use already is refused, where the kernel would kill.
        public var checkBeforeUpdate: Bool?

        public init(
            limit: Int64? = nil, reservation: Int64? = nil, swap: Int64? = nil, swappiness: Int64? = nil,
            disableOOMKiller: Bool? = nil, kernel: Int64? = nil, kernelTCP: Int64? = nil, useHierarchy: Bool? = nil,
            checkBeforeUpdate: Bool? = nil
        ) {
            self.limit = limit
            self.reservation = reservation
            self.swap = swap
            self.swappiness = swappiness
            self.disableOOMKiller = disableOOMKiller
            self.kernel = kernel
            self.kernelTCP = kernelTCP
            self.useHierarchy = useHierarchy
            self.checkBeforeUpdate = checkBeforeUpdate
        }
    }

    /// `quota` microseconds of processor time in each `period` microseconds.
    public struct CPU: Sendable, Equatable {
        public var shares: Int64?
        public var quota: Int64?
        public var period: Int64?
        public var cpus: String?
        public var mems: String?
        /// Microseconds beyond the quota that may be used when they were saved before.
        public var burst: Int64?
        /// 1: runs only when nobody else wants to.
        public var idle: Int64?
        /// Microseconds for real-time processes in each `realtimePeriod`.
        public var realtimeRuntime: Int64?
        public var realtimePeriod: Int64?

        public init(
            shares: Int64? = nil, quota: Int64? = nil, period: Int64? = nil, cpus: String? = nil, mems: String? = nil,
            burst: Int64? = nil, idle: Int64? = nil, realtimeRuntime: Int64? = nil, realtimePeriod: Int64? = nil
        ) {
            self.shares = shares
            self.quota = quota
            self.period = period
            self.cpus = cpus
            self.mems = mems
            self.burst = burst
            self.idle = idle
            self.realtimeRuntime = realtimeRuntime
            self.realtimePeriod = realtimePeriod
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
                disableOOMKiller: try reader.bool("disableOOMKiller"), kernel: try reader.int("kernel"),
                kernelTCP: try reader.int("kernelTCP"), useHierarchy: try reader.bool("useHierarchy"),
                checkBeforeUpdate: try reader.bool("checkBeforeUpdate"))
        }
        cpu = try reader.object("cpu") { (reader) throws(JSONError) in
            RuntimeSpec.CPU(
                shares: try reader.int("shares"), quota: try reader.int("quota"), period: try reader.int("period"),
                cpus: try reader.string("cpus"), mems: try reader.string("mems"), burst: try reader.int("burst"),
                idle: try reader.int("idle"), realtimeRuntime: try reader.int("realtimeRuntime"),
                realtimePeriod: try reader.int("realtimePeriod"))
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
        blockIO = try reader.object("blockIO", RuntimeSpec.BlockIO.init(reader:))
        hugepageLimits = try reader.objects("hugepageLimits", RuntimeSpec.HugepageLimit.init(reader:))
        network = try reader.object("network", RuntimeSpec.Network.init(reader:))
        rdma = try RuntimeSpec.RdmaLimit.table(reader.value("rdma"), reader)
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
        writer.add("blockIO", blockIO?.json())
        writer.add("hugepageLimits", hugepageLimits.map { $0.json() })
        writer.add("network", network?.json())
        writer.add("rdma", RuntimeSpec.RdmaLimit.json(rdma))
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
        writer.add("kernel", kernel)
        writer.add("kernelTCP", kernelTCP)
        writer.add("useHierarchy", useHierarchy)
        writer.add("checkBeforeUpdate", checkBeforeUpdate)
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
        writer.add("burst", burst)
        writer.add("idle", idle)
        writer.add("realtimeRuntime", realtimeRuntime)
        writer.add("realtimePeriod", realtimePeriod)
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
