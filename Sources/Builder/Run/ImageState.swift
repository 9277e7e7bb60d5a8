import FoundationEssentials
import Images
import OCI
import Store

/// An image in the making: what has been done so far, after each step.
struct ImageState: Sendable {
    var config: ImageConfig
    /// What the image would be called if this were the end; nil for `scratch`.
    private(set) var id: Digest?
    /// What the next step's cache key rests on: the configuration, the layers and what was done, but no times; nil for `scratch`.
    private(set) var content: Digest?
    /// The same state as it is in a cache from elsewhere, whose layers are other ones and not here. One at most.
    var elsewhere: [ImageState] = []
    /// What has been done on the base image, each with its cache key.
    private(set) var steps: [BuildSteps.Step] = []
    /// The image this is, as long as nothing was done to it.
    private(set) var unchanged: Image?
    /// How many of the layers are those of the image that the first stage began with.
    private(set) var baseLayers = 0
    /// Whether this stage has a `CMD` of its own; an inherited one goes when `ENTRYPOINT` is set.
    var hasOwnCommand = false

    /// `FROM scratch`
    init() {
        config = ImageConfig(variant: Platform.host.variant)
    }

    /// `FROM` an image.
    init(_ image: Image) throws {
        config = image.config
        id = image.id
        content = try Self.content(of: config)
        unchanged = image
        baseLayers = image.layers.count
    }

    /// `FROM` an earlier stage.
    func asBase() -> ImageState {
        var state = self
        state.hasOwnCommand = false
        return state
    }

    /// The configuration a container of the image gets.
    var container: ImageConfig.Config {
        get { config.config ?? ImageConfig.Config() }
        set { config.config = newValue }
    }

    var layers: [Digest] { config.rootfs.diffIDs }

    var shell: [String] { container.shell ?? ["/bin/sh", "-c"] }

    var workingDirectory: String {
        let directory = container.workingDir ?? ""
        return directory.isEmpty ? "/" : directory
    }

    /// `NAME=value` of the image, by name; the last one of a name counts.
    var environment: [String: String] {
        var values: [String: String] = [:]
        for entry in container.env ?? [] {
            guard let (name, value) = entry.splitOnce("=") else { continue }
            values[name] = value
        }
        return values
    }

    mutating func setEnvironment(_ name: String, _ value: String) {
        var entries = container.env ?? []
        let entry = "\(name)=\(value)"
        if let index = entries.firstIndex(where: { ($0.splitOnce("=")?.0 ?? $0) == name }) {
            entries[index] = entry
        } else {
            entries.append(entry)
        }
        container.env = entries
    }

    /// Commands are looked for somewhere, also in an image that does not say where.
    mutating func setDefaultPath() {
        if environment["PATH"] != nil { return }
        setEnvironment("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    }

    /// What comes of a step.
    func with(_ history: ImageConfig.History, layer: Digest?, key: String) throws -> ImageState {
        var state = self
        state.elsewhere = []
        state.steps.append(BuildSteps.Step(key: key, created: history.created ?? "", layer: layer))
        try state.add(history, layer: layer)
        return state
    }

    /// Adds a step to the history and, unless it was empty, its layer on top.
    mutating func add(_ history: ImageConfig.History, layer: Digest?) throws {
        config.history = (config.history ?? []) + [history]
        config.created = history.created
        if let layer { config.rootfs.diffIDs.append(layer) }
        unchanged = nil
        id = Digest.sha256(of: try encodeDocument(config))
        content = try Self.content(of: config)
    }

    /// What this step makes of the configuration, on the layers of another state.
    func rebased(on other: ImageState) -> ImageState {
        var state = self
        state.config.rootfs = other.config.rootfs
        state.config.history = other.config.history
        state.steps = other.steps
        return state
    }

    private static func content(of config: ImageConfig) throws -> Digest {
        var timeless = config
        timeless.created = nil
        for index in (timeless.history ?? []).indices { timeless.history?[index].created = nil }
        return Digest.sha256(of: try encodeDocument(timeless))
    }

    /// Puts one layer in the place of all above the base's; history still tells of each step.
    mutating func squash(into layer: Digest?, created: String, comment: String) throws {
        var kept = baseLayers
        for index in (config.history ?? []).indices where config.history?[index].emptyLayer != true {
            if kept > 0 { kept -= 1 } else { config.history?[index].emptyLayer = true }
        }
        config.rootfs.diffIDs = Array(layers.prefix(baseLayers))
        var history = ImageConfig.History(created: created, createdBy: "", emptyLayer: layer == nil ? true : nil)
        history.comment = comment
        try add(history, layer: layer)
    }
}
