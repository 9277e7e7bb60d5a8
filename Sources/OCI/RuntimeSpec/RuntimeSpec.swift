/// The configuration of a container, `config.json` of the OCI runtime specification, as far as Linux and Skiff know it.
/// Unknown members are ignored, as the specification demands.
public struct RuntimeSpec: Sendable, Equatable {
    public var ociVersion: String
    public var process: Process
    public var root: Root
    public var hostname: String?
    public var domainname: String?
    public var mounts: [Mount]
    public var hooks: Hooks?
    public var annotations: [String: String]
    public var linux: Linux

    /// The newest version of the specification that this program knows.
    public static let newestVersion = "1.3.0"

    public init(
        ociVersion: String = newestVersion, process: Process = Process(), root: Root = Root(), hostname: String? = nil,
        domainname: String? = nil, mounts: [Mount] = [], hooks: Hooks? = nil, annotations: [String: String] = [:],
        linux: Linux = Linux()
    ) {
        self.ociVersion = ociVersion
        self.process = process
        self.root = root
        self.hostname = hostname
        self.domainname = domainname
        self.mounts = mounts
        self.hooks = hooks
        self.annotations = annotations
        self.linux = linux
    }

    /// The root file system.
    public struct Root: Sendable, Equatable {
        /// A directory, relative to the bundle when not absolute.
        public var path: String
        public var readonly: Bool

        public init(path: String = "rootfs", readonly: Bool = false) {
            self.path = path
            self.readonly = readonly
        }
    }

    /// One mount; they are made in order.
    public struct Mount: Sendable, Equatable {
        public var destination: String
        public var type: String?
        public var source: String?
        public var options: [String]
        /// How the owners of the source's files appear in the container.
        public var uidMappings: [IDMapping]
        public var gidMappings: [IDMapping]

        public init(
            destination: String, type: String? = nil, source: String? = nil, options: [String] = [],
            uidMappings: [IDMapping] = [], gidMappings: [IDMapping] = []
        ) {
            self.destination = destination
            self.type = type
            self.source = source
            self.options = options
            self.uidMappings = uidMappings
            self.gidMappings = gidMappings
        }
    }

    /// Programs of the host (and one kind inside the container) that run at points of a container's life.
    public struct Hooks: Sendable, Equatable {
        public var prestart: [Hook]
        public var createRuntime: [Hook]
        public var createContainer: [Hook]
        public var startContainer: [Hook]
        public var poststart: [Hook]
        public var poststop: [Hook]

        public init(
            prestart: [Hook] = [], createRuntime: [Hook] = [], createContainer: [Hook] = [],
            startContainer: [Hook] = [], poststart: [Hook] = [], poststop: [Hook] = []
        ) {
            self.prestart = prestart
            self.createRuntime = createRuntime
            self.createContainer = createContainer
            self.startContainer = startContainer
            self.poststart = poststart
            self.poststop = poststop
        }
    }

    public struct Hook: Sendable, Equatable {
        public var path: String
        /// The first one is the program's own name.
        public var args: [String]
        /// nil: the environment of the place where it runs.
        public var env: [String]?
        /// Seconds.
        public var timeout: Int64?

        public init(path: String, args: [String] = [], env: [String]? = nil, timeout: Int64? = nil) {
            self.path = path
            self.args = args
            self.env = env
            self.timeout = timeout
        }
    }
}

extension RuntimeSpec {
    public init(json: JSONValue) throws(JSONError) {
        let reader = try JSONReader(json)
        ociVersion = try reader.required("ociVersion", try reader.string("ociVersion"))
        process = try reader.object("process", Process.init(reader:)) ?? Process()
        root = try reader.object("root", Root.init(reader:)) ?? Root()
        hostname = try reader.string("hostname")
        domainname = try reader.string("domainname")
        mounts = try reader.objects("mounts", Mount.init(reader:))
        hooks = try reader.object("hooks", Hooks.init(reader:))
        annotations = try reader.dictionary("annotations")
        linux = try reader.object("linux", Linux.init(reader:)) ?? Linux()
    }

    /// Reads the bytes of a config.json.
    public init(bytes: [UInt8]) throws(JSONError) {
        try self.init(json: try JSONValue.parse(bytes))
    }

    public func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("ociVersion", ociVersion)
        writer.add("process", process.json())
        writer.add("root", .object([("path", .string(root.path)), ("readonly", .bool(root.readonly))]))
        writer.add("hostname", hostname)
        writer.add("domainname", domainname)
        writer.add("mounts", mounts.map { $0.json() })
        writer.add("hooks", hooks?.json())
        writer.add("annotations", annotations)
        writer.add("linux", linux.json())
        return writer.value
    }
}

extension RuntimeSpec.Root {
    init(reader: JSONReader) throws(JSONError) {
        path = try reader.required("path", try reader.string("path"))
        readonly = try reader.bool("readonly") ?? false
    }
}

extension RuntimeSpec.Mount {
    init(reader: JSONReader) throws(JSONError) {
        destination = try reader.required("destination", try reader.string("destination"))
        type = try reader.string("type")
        source = try reader.string("source")
        options = try reader.strings("options")
        uidMappings = try reader.objects("uidMappings", RuntimeSpec.IDMapping.init(reader:))
        gidMappings = try reader.objects("gidMappings", RuntimeSpec.IDMapping.init(reader:))
    }

    func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("destination", destination)
        writer.add("type", type)
        writer.add("source", source)
        writer.add("options", options)
        writer.add("uidMappings", uidMappings.map { $0.json() })
        writer.add("gidMappings", gidMappings.map { $0.json() })
        return writer.value
    }
}

extension RuntimeSpec.Hooks {
    init(reader: JSONReader) throws(JSONError) {
        prestart = try reader.objects("prestart", RuntimeSpec.Hook.init(reader:))
        createRuntime = try reader.objects("createRuntime", RuntimeSpec.Hook.init(reader:))
        createContainer = try reader.objects("createContainer", RuntimeSpec.Hook.init(reader:))
        startContainer = try reader.objects("startContainer", RuntimeSpec.Hook.init(reader:))
        poststart = try reader.objects("poststart", RuntimeSpec.Hook.init(reader:))
        poststop = try reader.objects("poststop", RuntimeSpec.Hook.init(reader:))
    }

    func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("prestart", prestart.map { $0.json() })
        writer.add("createRuntime", createRuntime.map { $0.json() })
        writer.add("createContainer", createContainer.map { $0.json() })
        writer.add("startContainer", startContainer.map { $0.json() })
        writer.add("poststart", poststart.map { $0.json() })
        writer.add("poststop", poststop.map { $0.json() })
        return writer.value
    }
}

extension RuntimeSpec.Hook {
    init(reader: JSONReader) throws(JSONError) {
        path = try reader.required("path", try reader.string("path"))
        args = try reader.strings("args")
        env = reader.value("env") == nil ? nil : try reader.strings("env")
        timeout = try reader.int("timeout")
    }

    func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("path", path)
        writer.add("args", args)
        writer.add("env", env.map { .array($0.map(JSONValue.string)) })
        writer.add("timeout", timeout)
        return writer.value
    }
}
