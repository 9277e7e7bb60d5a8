import Linux
import OCI
public import SystemPackage

/// What the runtime remembers of a container, in `<root>/<id>/`:
///
///     state.json    this value; its first members are those of the OCI specification's state
///     config.json   the configuration as it was when the container was created
///     exec.fifo     only while the container is created and not started: a byte written to it starts the process
public struct ContainerState: Sendable, Equatable {
    public enum Status: String, Sendable {
        case created, running, paused, stopped
    }

    public var id: String
    public var ociVersion: String
    public var pid: Int32
    /// In ticks since the machine started; names the process together with the pid.
    public var startTime: UInt64
    public var bundle: String
    public var rootfs: String
    public var created: String
    public var cgroupPath: String
    public var annotations: [String: String]
    /// The unit of systemd that holds the group, where there is one.
    public var scope: SystemdScope?

    init(bytes: [UInt8]) throws {
        let json = try JSONValue.parse(bytes)
        guard let id = json["id"]?.string, let pid = json["pid"]?.integer, let start = json["startTime"]?.integer,
            let bundle = json["bundle"]?.string, let cgroup = json["cgroupPath"]?.string
        else { throw RuntimeError("state.json is incomplete") }
        self.id = id
        self.pid = Int32(truncatingIfNeeded: pid)
        startTime = UInt64(truncatingIfNeeded: start)
        self.bundle = bundle
        cgroupPath = cgroup
        ociVersion = json["ociVersion"]?.string ?? ""
        rootfs = json["rootfs"]?.string ?? ""
        created = json["created"]?.string ?? ""
        annotations = [:]
        if case .object(let members)? = json["annotations"] {
            for (key, value) in members { annotations[key] = value.string }
        }
        scope = json["systemdUnit"]?.string.map {
            SystemdScope(unit: $0, slice: json["systemdSlice"]?.string ?? "", isUser: json["systemdUser"]?.boolean ?? false)
        }
    }

    init(
        id: String, ociVersion: String, pid: Int32, startTime: UInt64, bundle: String, rootfs: String, created: String,
        cgroupPath: String, annotations: [String: String], scope: SystemdScope? = nil
    ) {
        self.id = id
        self.ociVersion = ociVersion
        self.pid = pid
        self.startTime = startTime
        self.bundle = bundle
        self.rootfs = rootfs
        self.created = created
        self.cgroupPath = cgroupPath
        self.annotations = annotations
        self.scope = scope
    }

    /// As it is kept, or with the status as it is shown.
    func json(status: Status? = nil, owner: String = "") -> JSONValue {
        var members: [(String, JSONValue)] = [
            ("ociVersion", .string(ociVersion)), ("id", .string(id)),
            ("pid", .int(status == .stopped ? 0 : Int64(pid))),
        ]
        if let status { members.append(("status", .string(status.rawValue))) }
        members += [("bundle", .string(bundle)), ("rootfs", .string(rootfs)), ("created", .string(created))]
        if !annotations.isEmpty {
            let sorted = annotations.sorted { $0.key < $1.key }
            members.append(("annotations", .object(sorted.map { ($0.key, .string($0.value)) })))
        }
        if status == nil {
            members += [("startTime", .int(Int64(bitPattern: startTime))), ("cgroupPath", .string(cgroupPath))]
            if let scope {
                members += [
                    ("systemdUnit", .string(scope.unit)), ("systemdSlice", .string(scope.slice)), ("systemdUser", .bool(scope.isUser)),
                ]
            }
        } else {
            members.append(("owner", .string(owner)))
        }
        return .object(members)
    }
}

/// A command that cannot be carried out, in runc's words.
public struct RuntimeError: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String
    /// What the program ends with.
    public let exitCode: Int32

    public init(_ description: String, exitCode: Int32 = 1) {
        self.description = description
        self.exitCode = exitCode
    }
}

/// Any error as one line of text.
public func runtimeText(_ error: any Error) -> String {
    switch error {
    case let error as SystemError:
        error.subject.isEmpty ? "\(error.call): \(error.errno.goText)" : "\(error.call) \(error.subject): \(error.errno.goText)"
    default: "\(error)"
    }
}

/// The directory with the states of all containers.
public struct RuntimeRoot: Sendable {
    public let path: FilePath
    let driver: CgroupDriver
    /// Whether the caller lacks the rights of root, so that a group that cannot be had is done without.
    let isRootless: Bool
    /// CRIU's program; the one on the PATH where there is none.
    let criu: String?

    public init(
        _ path: FilePath, driver: CgroupDriver = .cgroupfs, isRootless: Bool = CurrentProcess.effectiveUserID != 0, criu: String? = nil
    ) {
        self.path = path
        self.criu = criu
        self.driver = driver
        self.isRootless = isRootless
    }

    func directory(_ id: String) -> FilePath { path.appending(id) }

    static func check(_ id: String) throws(RuntimeError) {
        let allowed = id.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "_+-.".utf8.contains(byte)
            }
        }
        guard allowed, !id.isEmpty, id != ".", id != "..", id.utf8.count <= 1024 else {
            throw RuntimeError("invalid container ID format")
        }
    }

    /// Makes the directory of a new container.
    func make(_ id: String) throws -> FilePath {
        try Self.check(id)
        try makeDirectories(path)
        let directory = directory(id)
        do {
            try mkdirat(try OwnedFD.open(path, [.path, .directory]), try FileName(id), mode: 0o711)
        } catch {
            throw error.errno == .fileExists ? RuntimeError("container with given ID already exists") : error
        }
        return directory
    }

    public func load(_ id: String) throws -> ContainerState {
        try Self.check(id)
        do {
            let file = try OwnedFD.open(directory(id).appending("state.json"), .readOnly)
            return try ContainerState(bytes: try file.readAll(limit: 4 << 20))
        } catch let error as SystemError where error.errno == .noSuchFileOrDirectory {
            throw RuntimeError("container does not exist")
        }
    }

    func config(_ id: String) throws -> RuntimeSpec {
        try RuntimeSpec(bytes: try configBytes(id))
    }

    /// Without the seccomp profile where its filter is known.
    func launchConfig(_ id: String) throws -> (spec: RuntimeSpec, filter: KnownFilter?) {
        try read(try configBytes(id))
    }

    private func configBytes(_ id: String) throws -> [UInt8] {
        try OwnedFD.open(directory(id).appending("config.json"), .readOnly).readAll(limit: 4 << 20)
    }

    /// Filters lie beside the containers, under a name that none can have.
    func read(_ bytes: [UInt8]) throws -> (spec: RuntimeSpec, filter: KnownFilter?) {
        try SeccompCache.read(bytes, filters: path.appending("@seccomp"))
    }

    func save(_ state: ContainerState) throws { try write(state).putInPlace() }

    /// Written, but not yet to be seen by other commands.
    func write(_ state: ContainerState) throws(SystemError) -> NewContent {
        try NewContent(state.json().serialized(), of: directory(state.id).appending("state.json"), mode: 0o600, sync: false)
    }

    /// What the kernel says of a container.
    public func status(_ state: ContainerState) -> ContainerState.Status {
        guard isProcessAlive(state.pid, startTime: state.startTime) else { return .stopped }
        if (try? lstatIfExists(directory(state.id).appending("exec.fifo"))) != .none { return .created }
        // A group that cannot be read is not paused.
        let isFrozen = !state.cgroupPath.isEmpty && (try? Cgroup.open(path: state.cgroupPath).isFrozen()) ?? false
        return isFrozen ? .paused : .running
    }

    /// All ids, in order. Directories without a state are those of containers just being made.
    public func ids() throws -> [String] {
        guard let directory = try? OwnedFD.open(path, [.readOnly, .directory]) else { return [] }  // No container yet.
        return try namesInDirectory(directory).map(\.description).filter { (try? Self.check($0)) != nil }.sorted()
    }
}
