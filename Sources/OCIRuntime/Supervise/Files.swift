import Linux
import OCI
import SystemPackage

/// What state.json says: runc's state of a container, and what is needed to find the process again.
struct SupervisedState {
    enum Status: String {
        case created, running
    }

    var ociVersion = ""
    var id = ""
    var bundle = ""
    var root = ""
    var annotations: [String: String] = [:]
    var cgroupPath = ""
    var created = Timestamp.now()
    var pid: Int32 = 0
    /// In ticks since the machine was started: together with the pid it names the process for ever.
    var startTime: UInt64 = 0

    init() {}

    init(spec: RuntimeSpec, options: SuperviseOptions, cgroup: Cgroup?) {
        ociVersion = spec.ociVersion
        id = options.id
        bundle = options.directory.string
        root = spec.root.path
        annotations = spec.annotations
        cgroupPath = cgroup?.path ?? ""
    }

    func json(_ status: Status) -> JSONValue {
        .object([
            ("ociVersion", .string(ociVersion)), ("id", .string(id)), ("pid", .int(Int64(pid))),
            ("status", .string(status.rawValue)), ("bundle", .string(bundle)), ("rootfs", .string(root)),
            ("created", .string(created.description)),
            ("annotations", .object(annotations.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })),
            ("startTime", .int(Int64(clamping: startTime))), ("cgroupPath", .string(cgroupPath)),
        ])
    }
}

extension Supervisor {
    static let socketName = "supervisor.sock"

    func write(_ bytes: [UInt8], to name: String) throws(SystemError) {
        try writeAtomically(bytes, to: options.directory.appending(name), sync: false)
    }

    func writeState(_ status: SupervisedState.Status) throws(SystemError) {
        try write(state.json(status).serialized(), to: "state.json")
    }

    func removeSocket() {
        do {
            try unlinkat(directory, try FileName(Self.socketName))
        } catch {
            // Whoever removed the directory has removed the socket with it.
            if error.errno != .noSuchFileOrDirectory { Self.report("socket is not removed: \(error)") }
        }
    }
}
