import Linux
import OCI
import SystemPackage

/// What hooks and seccomp agents are told of a container: the state of the OCI specification.
struct ReportedState: Sendable {
    let ociVersion: String
    let id: String
    let bundle: String
    let annotations: [String: String]

    init(_ spec: RuntimeSpec, _ options: LaunchOptions) {
        ociVersion = spec.ociVersion
        id = options.id
        bundle = options.bundle.string
        annotations = spec.annotations
    }

    init(_ state: ContainerState) {
        ociVersion = state.ociVersion
        id = state.id
        bundle = state.bundle
        annotations = state.annotations
    }

    /// `creating` is heard by nobody else.
    enum Status: String {
        case creating, created, running, stopped
    }

    /// `pid` as whoever hears it knows the process.
    func json(_ status: Status, pid: Int32) -> JSONValue {
        var members: [(String, JSONValue)] = [
            ("ociVersion", .string(ociVersion)), ("id", .string(id)), ("status", .string(status.rawValue)),
            ("pid", .int(Int64(pid))), ("bundle", .string(bundle)),
        ]
        if !annotations.isEmpty {
            let sorted = annotations.sorted { $0.key < $1.key }
            members.append(("annotations", .object(sorted.map { ($0.key, .string($0.value)) })))
        }
        return .object(members)
    }
}

/// Who answers the calls that a seccomp profile leaves to somebody else.
struct SeccompListener: Sendable {
    let path: String
    let metadata: String
    let state: ReportedState
    let status: ReportedState.Status
    /// The container's first process; nil when it is the one that is being started.
    let containerPID: Int32?

    /// One connection for one descriptor, with the container process state of the OCI specification.
    func send(_ descriptor: borrowing OwnedFD, pid: Int32) throws(LaunchError) {
        let record: JSONValue = .object([
            ("ociVersion", .string(state.ociVersion)), ("fds", ["seccompFd"]), ("pid", .int(Int64(pid))),
            ("metadata", .string(metadata)), ("state", state.json(status, pid: containerPID ?? pid)),
        ])
        do throws(SystemError) {
            let path = FilePath(path)
            let connection = try connectUnix(
                name: path.lastComponent?.string ?? "", in: path.removingLastComponent())
            try sendDescriptor(descriptor.raw, record.serialized(), over: connection.raw)
        } catch {
            throw LaunchError(message: "unable to send the seccomp descriptor to listenerPath \(path): \(error.errno.goText)")
        }
    }
}
