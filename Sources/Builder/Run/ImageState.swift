import FoundationEssentials
import Images
import OCI
import Store

/// An image in the making: what has been done so far, after each step.
struct ImageState: Sendable {
    var config: ImageConfig
    /// What the next step's cache key rests on; nil for `scratch`.
    private(set) var id: Digest?
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
    init(_ image: Image) {
        config = image.config
        id = image.id
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

    /// Adds a step to the history and, unless it was empty, its layer on top.
    mutating func add(_ history: ImageConfig.History, layer: Digest?) throws {
        config.history = (config.history ?? []) + [history]
        config.created = history.created
        if let layer { config.rootfs.diffIDs.append(layer) }
        unchanged = nil
        id = Digest.sha256(of: try Self.document(config))
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

    /// The same configuration always gives the same bytes.
    static func document(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return [UInt8](try encoder.encode(value))
    }
}
