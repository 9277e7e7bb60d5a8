extension RuntimeSpec {
    /// What runs, as whom, and with which rights. Also stands alone, as the description of an exec.
    public struct Process: Sendable, Equatable {
        public var terminal: Bool
        public var consoleSize: ConsoleSize?
        public var user: User
        public var args: [String]
        public var env: [String]
        public var cwd: String
        /// nil: none; of a process that joins a container, those of its first one.
        public var capabilities: Capabilities?
        public var rlimits: [Rlimit]
        public var noNewPrivileges: Bool
        public var oomScoreAdj: Int64?
        public var apparmorProfile: String?
        public var selinuxLabel: String?
        public var scheduler: Scheduler?
        public var ioPriority: IOPriority?
        /// Of processes that join the container later; its first one takes no notice.
        public var execCPUAffinity: ExecCPUAffinity?

        public init(
            terminal: Bool = false, consoleSize: ConsoleSize? = nil, user: User = User(), args: [String] = [],
            env: [String] = [], cwd: String = "/", capabilities: Capabilities? = nil, rlimits: [Rlimit] = [],
            noNewPrivileges: Bool = false, oomScoreAdj: Int64? = nil, apparmorProfile: String? = nil,
            selinuxLabel: String? = nil, scheduler: Scheduler? = nil, ioPriority: IOPriority? = nil,
            execCPUAffinity: ExecCPUAffinity? = nil
        ) {
            self.terminal = terminal
            self.consoleSize = consoleSize
            self.user = user
            self.args = args
            self.env = env
            self.cwd = cwd
            self.capabilities = capabilities
            self.rlimits = rlimits
            self.noNewPrivileges = noNewPrivileges
            self.oomScoreAdj = oomScoreAdj
            self.apparmorProfile = apparmorProfile
            self.selinuxLabel = selinuxLabel
            self.scheduler = scheduler
            self.ioPriority = ioPriority
            self.execCPUAffinity = execCPUAffinity
        }
    }

    /// Of a terminal, in characters.
    public struct ConsoleSize: Sendable, Equatable {
        public var height: Int64
        public var width: Int64

        public init(height: Int64, width: Int64) {
            self.height = height
            self.width = width
        }
    }

    public struct User: Sendable, Equatable {
        public var uid: UInt32
        public var gid: UInt32
        public var umask: UInt32?
        public var additionalGids: [UInt32]

        public init(uid: UInt32 = 0, gid: UInt32 = 0, umask: UInt32? = nil, additionalGids: [UInt32] = []) {
            self.uid = uid
            self.gid = gid
            self.umask = umask
            self.additionalGids = additionalGids
        }
    }

    /// Names as in `CAP_CHOWN`.
    public struct Capabilities: Sendable, Equatable {
        public var bounding: [String]
        public var effective: [String]
        public var inheritable: [String]
        public var permitted: [String]
        public var ambient: [String]

        public init(
            bounding: [String] = [], effective: [String] = [], inheritable: [String] = [], permitted: [String] = [],
            ambient: [String] = []
        ) {
            self.bounding = bounding
            self.effective = effective
            self.inheritable = inheritable
            self.permitted = permitted
            self.ambient = ambient
        }
    }

    /// A limit of setrlimit(2), by the name `RLIMIT_…`; -1 is no limit.
    public struct Rlimit: Sendable, Equatable {
        public var type: String
        public var soft: Int64
        public var hard: Int64

        public init(type: String, soft: Int64, hard: Int64) {
            self.type = type
            self.soft = soft
            self.hard = hard
        }
    }
}

extension RuntimeSpec.Process {
    public init(json: JSONValue) throws(JSONError) {
        try self.init(reader: try JSONReader(json))
    }

    init(reader: JSONReader) throws(JSONError) {
        terminal = try reader.bool("terminal") ?? false
        consoleSize = try reader.object("consoleSize") { (size) throws(JSONError) in
            RuntimeSpec.ConsoleSize(height: try size.int("height") ?? 0, width: try size.int("width") ?? 0)
        }
        user = try reader.object("user", RuntimeSpec.User.init(reader:)) ?? RuntimeSpec.User()
        args = try reader.strings("args")
        env = try reader.strings("env")
        cwd = try reader.string("cwd") ?? ""
        capabilities = try reader.object("capabilities", RuntimeSpec.Capabilities.init(reader:))
        rlimits = try reader.objects("rlimits", RuntimeSpec.Rlimit.init(reader:))
        noNewPrivileges = try reader.bool("noNewPrivileges") ?? false
        oomScoreAdj = try reader.int("oomScoreAdj")
        apparmorProfile = try reader.string("apparmorProfile")
        selinuxLabel = try reader.string("selinuxLabel")
        scheduler = try reader.object("scheduler", RuntimeSpec.Scheduler.init(reader:))
        ioPriority = try reader.object("ioPriority", RuntimeSpec.IOPriority.init(reader:))
        execCPUAffinity = try reader.object("execCPUAffinity", RuntimeSpec.ExecCPUAffinity.init(reader:))
    }

    public func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("terminal", terminal ? JSONValue.bool(true) : nil)
        writer.add(
            "consoleSize",
            consoleSize.map { JSONValue.object([("height", .int($0.height)), ("width", .int($0.width))]) })
        writer.add("user", user.json())
        writer.add("args", args)
        writer.add("env", env)
        writer.add("cwd", cwd)
        writer.add("capabilities", capabilities?.json())
        writer.add(
            "rlimits",
            rlimits.map { .object([("type", .string($0.type)), ("soft", $0.limit($0.soft)), ("hard", $0.limit($0.hard))]) })
        writer.add("noNewPrivileges", noNewPrivileges ? JSONValue.bool(true) : nil)
        writer.add("oomScoreAdj", oomScoreAdj)
        writer.add("apparmorProfile", apparmorProfile)
        writer.add("selinuxLabel", selinuxLabel)
        writer.add("scheduler", scheduler?.json())
        writer.add("ioPriority", ioPriority?.json())
        writer.add("execCPUAffinity", execCPUAffinity?.json())
        return writer.value
    }
}

extension RuntimeSpec.User {
    init(reader: JSONReader) throws(JSONError) {
        uid = try reader.unsigned32("uid") ?? 0
        gid = try reader.unsigned32("gid") ?? 0
        umask = try reader.unsigned32("umask")
        additionalGids = []
        for element in try reader.array("additionalGids") {
            guard let wide = element.integer, let gid = UInt32(exactly: wide) else {
                throw reader.wrong("additionalGids", "an array of integers below 2^32")
            }
            additionalGids.append(gid)
        }
    }

    func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("uid", uid)
        writer.add("gid", gid)
        writer.add("umask", umask)
        writer.add("additionalGids", additionalGids.map { .int(Int64($0)) })
        return writer.value
    }
}

extension RuntimeSpec.Capabilities {
    init(reader: JSONReader) throws(JSONError) {
        bounding = try reader.strings("bounding")
        effective = try reader.strings("effective")
        inheritable = try reader.strings("inheritable")
        permitted = try reader.strings("permitted")
        ambient = try reader.strings("ambient")
    }

    func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("bounding", bounding)
        writer.add("effective", effective)
        writer.add("inheritable", inheritable)
        writer.add("permitted", permitted)
        writer.add("ambient", ambient)
        return writer.value
    }
}

extension RuntimeSpec.Rlimit {
    init(reader: JSONReader) throws(JSONError) {
        type = try reader.required("type", try reader.string("type"))
        soft = try reader.limit("soft") ?? 0
        hard = try reader.limit("hard") ?? 0
    }

    /// The specification's limits have no sign.
    func limit(_ value: Int64) -> JSONValue {
        value < 0 ? .unsigned(.max) : .int(value)
    }
}
