public import SystemPackage

/// Where the engine keeps things. docs/on-disk.md draws the whole tree.
public struct EnginePaths: Sendable {
    /// What outlives a reboot; `/var/lib/skiff`.
    public let dataRoot: FilePath
    /// What does not; `/run/skiff`.
    public let execRoot: FilePath
    /// The OCI runtime.
    public let runtime: FilePath
    /// Where files describe devices of the host; a later one wins.
    public var cdiDirectories: [FilePath] = ["/etc/cdi", "/var/run/cdi"]

    /// Where systemd's journal takes lines.
    public var journal: FilePath = "/run/systemd/journal/socket"

    public init(dataRoot: FilePath, execRoot: FilePath, runtime: FilePath) {
        self.dataRoot = dataRoot
        self.execRoot = execRoot
        self.runtime = runtime
    }

    /// Emptied at every start.
    public var temporary: FilePath { dataRoot.appending("tmp") }
    /// What `RUN --mount=type=cache` keeps.
    var cacheMounts: FilePath { dataRoot.appending("cache-mounts") }
    public var volumes: FilePath { dataRoot.appending("volumes") }
    var containers: FilePath { dataRoot.appending("containers") }
    /// Supervisors' directories of build steps.
    var runtimeBuilds: FilePath { execRoot.appending("builds") }
    var runtimeContainers: FilePath { execRoot.appending("containers") }
    /// Compiled seccomp profiles; the supervisors' own affair.
    var seccompCache: FilePath { execRoot.appending("seccomp") }

    func container(_ id: String) -> ContainerPaths {
        ContainerPaths(id: id, data: containers.appending(id), runtime: runtimeContainers.appending(id))
    }
}

/// The files of one container.
struct ContainerPaths: Sendable {
    let id: String
    let data: FilePath
    /// The supervisor's directory.
    let runtime: FilePath

    var upper: FilePath { data.appending("upper") }
    var work: FilePath { data.appending("work") }
    var log: FilePath { data.appending("\(id)-json.log") }
    var hosts: FilePath { data.appending("hosts") }
    var hostname: FilePath { data.appending("hostname") }
    var resolvConf: FilePath { data.appending("resolv.conf") }
    /// Of the engine's API, for the container itself.
    var apiSocket: FilePath { runtime.appending("api.sock") }
    var executions: FilePath { runtime.appending("exec") }

    func exec(_ id: String) -> FilePath { executions.appending(id) }
}
