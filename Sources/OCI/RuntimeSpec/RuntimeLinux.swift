extension RuntimeSpec {
    /// What only Linux has.
    public struct Linux: Sendable, Equatable {
        public var namespaces: [Namespace]
        public var uidMappings: [IDMapping]
        public var gidMappings: [IDMapping]
        public var devices: [Device]
        public var cgroupsPath: String?
        public var resources: Resources?
        public var rootfsPropagation: String?
        public var seccomp: Seccomp?
        public var sysctl: [String: String]
        public var maskedPaths: [String]
        public var readonlyPaths: [String]
        public var mountLabel: String?
        public var timeOffsets: TimeOffsets?
        public var netDevices: [NetDevice]
        public var personality: Personality?
        public var memoryPolicy: MemoryPolicy?
        public var intelRdt: IntelRdt?

        public init(
            namespaces: [Namespace] = [], uidMappings: [IDMapping] = [], gidMappings: [IDMapping] = [],
            devices: [Device] = [], cgroupsPath: String? = nil, resources: Resources? = nil,
            rootfsPropagation: String? = nil, seccomp: Seccomp? = nil, sysctl: [String: String] = [:],
            maskedPaths: [String] = [], readonlyPaths: [String] = [], mountLabel: String? = nil,
            timeOffsets: TimeOffsets? = nil, netDevices: [NetDevice] = [], personality: Personality? = nil,
            memoryPolicy: MemoryPolicy? = nil, intelRdt: IntelRdt? = nil
        ) {
            self.namespaces = namespaces
            self.uidMappings = uidMappings
            self.gidMappings = gidMappings
            self.devices = devices
            self.cgroupsPath = cgroupsPath
            self.resources = resources
            self.rootfsPropagation = rootfsPropagation
            self.seccomp = seccomp
            self.sysctl = sysctl
            self.maskedPaths = maskedPaths
            self.readonlyPaths = readonlyPaths
            self.mountLabel = mountLabel
            self.timeOffsets = timeOffsets
            self.netDevices = netDevices
            self.personality = personality
            self.memoryPolicy = memoryPolicy
            self.intelRdt = intelRdt
        }
    }

    public struct Namespace: Sendable, Equatable {
        public enum Kind: String, Sendable, CaseIterable {
            case pid, network, mount, ipc, uts, user, cgroup, time
        }

        public var type: Kind
        /// A namespace to join; nil makes a new one.
        public var path: String?

        public init(type: Kind, path: String? = nil) {
            self.type = type
            self.path = path
        }
    }

    /// `size` ids from `containerID` on are those from `hostID` on outside.
    public struct IDMapping: Sendable, Equatable {
        public var containerID: UInt32
        public var hostID: UInt32
        public var size: UInt32

        public init(containerID: UInt32, hostID: UInt32, size: UInt32) {
            self.containerID = containerID
            self.hostID = hostID
            self.size = size
        }
    }

    /// A device file to make in the container: `c`, `b`, `u` or `p`.
    public struct Device: Sendable, Equatable {
        public var path: String
        public var type: String
        public var major: Int64
        public var minor: Int64
        public var fileMode: UInt32?
        public var uid: UInt32?
        public var gid: UInt32?

        public init(
            path: String, type: String, major: Int64 = 0, minor: Int64 = 0, fileMode: UInt32? = nil, uid: UInt32? = nil,
            gid: UInt32? = nil
        ) {
            self.path = path
            self.type = type
            self.major = major
            self.minor = minor
            self.fileMode = fileMode
            self.uid = uid
            self.gid = gid
        }
    }

    /// How far the clocks of a new time namespace are ahead.
    public struct TimeOffsets: Sendable, Equatable {
        public struct Offset: Sendable, Equatable {
            public var seconds: Int64
            public var nanoseconds: UInt32

            public init(seconds: Int64, nanoseconds: UInt32 = 0) {
                self.seconds = seconds
                self.nanoseconds = nanoseconds
            }
        }

        public var boottime: Offset?
        public var monotonic: Offset?

        public init(boottime: Offset? = nil, monotonic: Offset? = nil) {
            self.boottime = boottime
            self.monotonic = monotonic
        }
    }
}

extension RuntimeSpec.Linux {
    init(reader: JSONReader) throws(JSONError) {
        namespaces = try reader.objects("namespaces", RuntimeSpec.Namespace.init(reader:))
        uidMappings = try reader.objects("uidMappings", RuntimeSpec.IDMapping.init(reader:))
        gidMappings = try reader.objects("gidMappings", RuntimeSpec.IDMapping.init(reader:))
        devices = try reader.objects("devices", RuntimeSpec.Device.init(reader:))
        cgroupsPath = try reader.string("cgroupsPath")
        resources = try reader.object("resources", RuntimeSpec.Resources.init(reader:))
        rootfsPropagation = try reader.string("rootfsPropagation")
        seccomp = try reader.object("seccomp", RuntimeSpec.Seccomp.init(reader:))
        sysctl = try reader.dictionary("sysctl")
        maskedPaths = try reader.strings("maskedPaths")
        readonlyPaths = try reader.strings("readonlyPaths")
        mountLabel = try reader.string("mountLabel")
        timeOffsets = try reader.object("timeOffsets") { (reader) throws(JSONError) in
            RuntimeSpec.TimeOffsets(
                boottime: try reader.object("boottime", RuntimeSpec.TimeOffsets.Offset.init(reader:)),
                monotonic: try reader.object("monotonic", RuntimeSpec.TimeOffsets.Offset.init(reader:)))
        }
        netDevices = try RuntimeSpec.NetDevice.table(reader.value("netDevices"), reader)
        personality = try reader.object("personality", RuntimeSpec.Personality.init(reader:))
        memoryPolicy = try reader.object("memoryPolicy", RuntimeSpec.MemoryPolicy.init(reader:))
        intelRdt = try reader.object("intelRdt", RuntimeSpec.IntelRdt.init(reader:))
    }

    func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("namespaces", namespaces.map { $0.json() })
        writer.add("uidMappings", uidMappings.map { $0.json() })
        writer.add("gidMappings", gidMappings.map { $0.json() })
        writer.add("devices", devices.map { $0.json() })
        writer.add("cgroupsPath", cgroupsPath)
        writer.add("resources", resources?.json())
        writer.add("rootfsPropagation", rootfsPropagation)
        writer.add("seccomp", seccomp?.json())
        writer.add("sysctl", sysctl)
        writer.add("maskedPaths", maskedPaths)
        writer.add("readonlyPaths", readonlyPaths)
        writer.add("mountLabel", mountLabel)
        if let timeOffsets {
            var offsets = JSONWriter()
            offsets.add("boottime", timeOffsets.boottime?.json())
            offsets.add("monotonic", timeOffsets.monotonic?.json())
            writer.add("timeOffsets", offsets.value)
        }
        writer.add("netDevices", RuntimeSpec.NetDevice.json(netDevices))
        writer.add("personality", personality?.json())
        writer.add("memoryPolicy", memoryPolicy?.json())
        writer.add("intelRdt", intelRdt?.json())
        return writer.value
    }
}

extension RuntimeSpec.Namespace {
    init(reader: JSONReader) throws(JSONError) {
        let name = try reader.required("type", try reader.string("type"))
        guard let kind = Kind(rawValue: name) else { throw JSONError("unknown namespace \(name)") }
        type = kind
        let path = try reader.string("path")
        self.path = path == "" ? nil : path
    }

    func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("type", type.rawValue)
        writer.add("path", path)
        return writer.value
    }
}

extension RuntimeSpec.IDMapping {
    init(reader: JSONReader) throws(JSONError) {
        containerID = try reader.required("containerID", try reader.unsigned32("containerID"))
        hostID = try reader.required("hostID", try reader.unsigned32("hostID"))
        size = try reader.required("size", try reader.unsigned32("size"))
    }

    func json() -> JSONValue {
        .object([
            ("containerID", .int(Int64(containerID))), ("hostID", .int(Int64(hostID))), ("size", .int(Int64(size))),
        ])
    }
}

extension RuntimeSpec.Device {
    init(reader: JSONReader) throws(JSONError) {
        path = try reader.required("path", try reader.string("path"))
        type = try reader.required("type", try reader.string("type"))
        major = try reader.int("major") ?? 0
        minor = try reader.int("minor") ?? 0
        fileMode = try reader.unsigned32("fileMode")
        uid = try reader.unsigned32("uid")
        gid = try reader.unsigned32("gid")
    }

    func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("path", path)
        writer.add("type", type)
        writer.add("major", major)
        writer.add("minor", minor)
        writer.add("fileMode", fileMode)
        writer.add("uid", uid)
        writer.add("gid", gid)
        return writer.value
    }
}

extension RuntimeSpec.TimeOffsets.Offset {
    init(reader: JSONReader) throws(JSONError) {
        seconds = try reader.int("secs") ?? 0
        nanoseconds = try reader.unsigned32("nanosecs") ?? 0
    }

    func json() -> JSONValue {
        .object([("secs", .int(seconds)), ("nanosecs", .int(Int64(nanoseconds)))])
    }
}
