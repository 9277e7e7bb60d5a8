import DockerAPI
import Linux
import Networking

/// What is kept of a container between two lives of the engine: one row, as JSON.
struct ContainerRecord: Codable, Sendable {
    let id: String
    var name: String
    let created: String
    /// The image's id.
    let imageID: String
    /// The layers of the root filesystem, by diff id, base first. Kept here so that a container outlives its image's name.
    let layers: [String]
    /// The request merged with the image's config.
    var config: ContainerConfig
    var hostConfig: HostConfig
    var networkingConfig: NetworkingConfig?
    var mounts: [ResolvedMount]
    /// The command, as `ps` shows it: entry point and arguments.
    let path: String
    let args: [String]
    var state = SavedState()
    var endpoint: EndpointInfo?
}

/// The part of a container's state that is written down.
struct SavedState: Codable, Sendable {
    enum Status: String, Codable, Sendable {
        case created
        case running
        case paused
        case exited
        case dead
    }

    var status = Status.created
    var pid: Int32 = 0
    var exitCode: Int32 = 0
    var oomKilled = false
    var error = ""
    /// RFC 3339; Go's zero time where it never happened.
    var startedAt = SavedState.never
    var finishedAt = SavedState.never
    var restartCount = 0
    /// A user stopped it: `unless-stopped` and `on-failure` respect that.
    var stoppedByUser = false
    /// nil for a container that is not probed.
    var health: HealthState?

    static let never = "0001-01-01T00:00:00Z"
}

/// A mount with everything decided: what stands on the host and where it goes.
struct ResolvedMount: Codable, Sendable, Equatable {
    enum Kind: String, Codable, Sendable {
        case bind
        case volume
        case tmpfs
    }

    var kind: Kind
    /// The volume's name.
    var name = ""
    /// The path on the host; empty for tmpfs.
    var source = ""
    var destination: String
    var readOnly = false
    var propagation = ""
    /// Options of a tmpfs, as mount(8) takes them.
    var options: [String] = []
    /// The volume was made for this container alone and goes with it.
    var anonymous = false
    /// A fresh volume is not filled with what the image has at the destination.
    var noCopy = false
    /// As given, for `inspect`.
    var mode = ""
    /// Bind only the directory itself, not what is mounted below it.
    var nonRecursive = false

    var mountPoint: MountPoint {
        var point = MountPoint()
        point.Type = kind.rawValue
        point.Destination = destination
        point.Source = source
        point.Mode = mode
        point.RW = !readOnly
        point.Propagation = kind == .bind ? (propagation.isEmpty ? "rprivate" : propagation) : ""
        if kind == .volume {
            point.Name = name
            point.Driver = "local"
        }
        return point
    }
}
