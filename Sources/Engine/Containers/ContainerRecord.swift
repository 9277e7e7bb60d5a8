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
    var mounts: [ResolvedMount]
    /// The command, as `ps` shows it: entry point and arguments.
    let path: String
    let args: [String]
    var state = SavedState()
    /// Nil in rows of earlier versions, which knew the default network only.
    var networkAttachments: [NetworkAttachment]?
    var networkEndpoints: [EndpointInfo]?

    /// The networks that the container belongs to, whether it runs or not, in the order of its devices.
    var attachments: [NetworkAttachment] {
        get {
            networkAttachments ?? (hostConfig.NetworkMode == Networks.defaultNetwork ? [NetworkAttachment(networkName: Networks.defaultNetwork)] : [])
        }
        set { networkAttachments = newValue }
    }

    /// Its places in these networks while it runs.
    var endpoints: [EndpointInfo] {
        get { networkEndpoints ?? [] }
        set { networkEndpoints = newValue }
    }

    /// The image that it was made of, and those that it has mounted.
    var images: Set<String> { Set([imageID] + mounts.filter { $0.kind == .image }.map(\.name)) }

    /// Where its default route leads.
    var gatewayEndpoint: EndpointInfo? { endpoints.first { $0.isGateway && !$0.isInternal } }
}

/// A network that a container belongs to, and what it asks for there.
struct NetworkAttachment: Codable, Sendable, Equatable {
    /// Empty where only the name is known.
    var networkID = ""
    var networkName: String
    var settings = EndpointSettings()
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
    // Rows of earlier versions have neither of these.
    /// It was ended since its health check had failed.
    var endedUnhealthy: Bool?
    /// Why it ended.
    var cause: ExitCause?
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
        /// The files of an image, read-only.
        case image
        /// The container's own socket of the API; `source` is its scope.
        case engineSocket = "engine-socket"
    }

    /// How a read-only mount treats what is mounted below it.
    enum ReadOnlyBelow: String, Codable, Sendable {
        /// Stays as it is.
        case writable
        /// Read-only too, or the container does not start.
        case forced
    }

    var kind: Kind
    /// The volume's name, or the image's id.
    var name = ""
    /// The path on the host, or the image as the user named it; empty for tmpfs.
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
    // Rows of earlier versions have none of these.
    /// What of a volume or an image is mounted, in place of all of it.
    var subpath: String?
    /// The layers of an image, by diff id, base first.
    var layers: [String]?
    /// nil: read-only too, where the kernel can.
    var readOnlyBelow: ReadOnlyBelow?
    /// How owners are shown, as `OwnerMapping` reads it; nil: as they are.
    var ownerMapping: String?

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
