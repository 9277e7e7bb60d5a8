import Blocking
import BuildContext
import Builder
import FoundationEssentials
import Images
import Linux
import OCI
import Registry
import Store
import SystemPackage

/// Reads the caches that a build names with `--cache-from`. One that cannot be read is told and passed over: it takes nothing
/// from the build but its speed.
struct CacheImport: Sendable {
    let images: ImageStore
    let registries: Registries
    let auth: RegistryAuth?
    /// What the client has handed in, by name.
    let folders: [String: FilePath]
    let say: @Sendable (String) async throws -> Void

    func read(_ places: [CachePlace]) async throws -> [ImportedCache] {
        var caches: [ImportedCache] = []
        for place in places {
            do {
                if let cache = try await read(place) {
                    caches.append(cache)
                } else {
                    try await say("[Warning] there is no build cache in \(place.name)\n")
                }
            } catch let error where !(error is CancellationError) {
                try Task.checkCancellation()
                try await say("[Warning] cache \(place.name) is not used: \(error)\n")
            }
        }
        return caches
    }

    private func read(_ place: CachePlace) async throws -> ImportedCache? {
        switch place.kind {
        case .inline: return nil
        case .local: return try await folder(place)
        case .registry: return try await registry(place)
        case .image:
            // What has no cache in it, or is not here, is looked for at the registry.
            if let image = try? await images.image(place.reference) {
                do {
                    if let steps = try InlineCache.read(in: image.configBytes)?.steps {
                        return ImportedCache(name: place.name, steps: steps) { layer in
                            throw EngineError(.notFound, "layer \(layer) is not here any more")
                        }
                    }
                } catch {
                    try await say("[Warning] the cache in the image \(place.name) that is here is not used: \(error)\n")
                }
            }
            return try await registry(place)
        }
    }

    // MARK: Registries

    private func registry(_ place: CachePlace) async throws -> ImportedCache? {
        let reference = try ContainerEngine.pullReference(place.reference, tag: "").withDefaultTag()
        let credentials = auth?.credentials(for: reference.domain) ?? .anonymous
        let source = try await blocking { [registries] in try registries.registry(of: reference, credentials) }
        let repository = try await source.connect(for: .pull)
        var top = try await repository.manifest(ManifestName(reference))
        let found: Content?
        if let (config, blobs) = Self.cache(in: top.document) {
            found = try Self.steps(try await repository.blob(config, limit: CacheDocument.mostBytes), blobs)
        } else {
            if case .index(let index) = top.document, let entry = index.entry(for: .host) {
                top = try await repository.manifest(.digest(entry.digest), expected: entry)
            }
            guard case .manifest(let manifest) = top.document, MediaType.isConfig(manifest.config.mediaType) else { return nil }
            found = try Self.inlined(try await repository.blob(manifest.config, limit: CacheDocument.mostBytes), manifest)
        }
        guard let found else { return nil }
        let (images, configuration) = (images, registries.configuration)
        return ImportedCache(name: place.name, steps: found.steps, mounts: place.takesMounts ? found.mounts : [:]) { layer in
            guard let blob = found.blobs[layer] else { throw EngineError(.notFound, "it has no layer \(layer)") }
            try await images.fetchLayer(blob, layer, from: repository, domain: reference.domain, configuration)
        }
    }

    /// The cache in an image's configuration.
    private static func inlined(_ configBytes: [UInt8], _ manifest: Manifest) throws -> Content? {
        guard let (steps, diffIDs) = try InlineCache.read(in: configBytes) else { return nil }
        guard diffIDs.count == manifest.layers.count else {
            throw EngineError(.invalidArgument, "layers from manifest don't match image configuration")
        }
        return Content(steps: steps, blobs: Dictionary(zip(diffIDs, manifest.layers)) { first, _ in first })
    }

    // MARK: Folders

    private func folder(_ place: CachePlace) async throws -> ImportedCache? {
        guard let folder = folders[place.folder] else { throw EngineError(.invalidArgument, "a folder has to be handed in before the build") }
        return try await blocking { [images] in
            let layout = try CacheFolder(folder)
            guard let (config, blobs) = Self.cache(in: try layout.manifest(place.tag)) else { return nil }
            let found = try Self.steps(try layout.document(config), blobs)
            return ImportedCache(name: place.name, steps: found.steps, mounts: place.takesMounts ? found.mounts : [:]) { layer in
                guard let blob = found.blobs[layer] else { throw EngineError(.notFound, "it has no layer \(layer)") }
                let file = try await blocking { try layout.open(blob.digest) }
                _ = try await images.layers.unpack(from: file, expected: layer)
            }
        }
    }

    // MARK: Documents

    /// The document that describes a cache, and the blobs beside it, by digest. Either a manifest has it for its configuration,
    /// or an index among what it names.
    private static func cache(in document: ManifestDocument) -> (config: Descriptor, blobs: [Digest: Descriptor])? {
        let (config, blobs): (Descriptor?, [Descriptor])
        switch document {
        case .manifest(let manifest): (config, blobs) = (manifest.config, manifest.layers)
        case .index(let index): (config, blobs) = (index.manifests.first { $0.mediaType == CacheDocument.mediaType }, index.manifests)
        }
        guard let config, config.mediaType == CacheDocument.mediaType else { return nil }
        return (config, Dictionary(blobs.map { ($0.digest, $0) }) { first, _ in first })
    }

    private static func steps(_ bytes: [UInt8], _ blobs: [Digest: Descriptor]) throws -> Content {
        let document = try CacheDocument(reading: bytes)
        let (layers, found) = try document.blobs(among: blobs)
        return Content(steps: try document.steps(layers: layers), mounts: try document.mounts(layers: layers), blobs: found)
    }

    /// What a cache says that it has.
    private struct Content {
        var steps: [String: ImportedCache.Step]
        var mounts: [String: Digest] = [:]
        /// By diff id.
        var blobs: [Digest: Descriptor]
    }
}

extension CachePlace {
    /// For messages.
    var name: String { kind == .local ? "folder" : reference }
}

/// A cache in OCI's image layout that a client has handed in. Whatever is in it, nothing is read outside.
private final class CacheFolder: Sendable {
    private let root: OwnedFD

    init(_ path: FilePath) throws {
        root = try OwnedFD.open(path, [.readOnly, .directory])
    }

    func manifest(_ tag: String) throws -> ManifestDocument {
        let index = try JSONDecoder().decode(Index.self, from: Data(try read("index.json")))
        let name = { (entry: Descriptor) in entry.annotations?[LayoutNames.reference] }
        let nameless = index.manifests.filter { name($0) == nil }
        // Whoever gives no names means the only one there is.
        guard let entry = index.manifests.first(where: { name($0) == tag }) ?? (nameless.count == 1 ? nameless[0] : nil) else {
            throw EngineError(.notFound, "it has no \(tag)")
        }
        return try ManifestDocument(try document(entry), contentType: entry.mediaType, repository: "cache")
    }

    /// A blob that is a document, verified.
    func document(_ blob: Descriptor) throws -> [UInt8] {
        let bytes = try read(LayoutNames.path(blob.digest))
        guard Digest.sha256(of: bytes) == blob.digest else { throw EngineError(.invalidArgument, "\(blob.digest) has another content") }
        return bytes
    }

    /// A layer's blob; what is read from it has to be verified.
    func open(_ digest: Digest) throws -> SharedFD { try file(LayoutNames.path(digest)) }

    private func read(_ path: String) throws -> [UInt8] {
        try file(path).withOwned { file in
            guard try fstat(file).size <= CacheDocument.mostBytes else { throw EngineError(.invalidArgument, "\(path) is too large") }
            return try file.readAll(limit: CacheDocument.mostBytes)
        }
    }

    private func file(_ path: String) throws -> SharedFD {
        do {
            let file = try PathInRoot.open(path, root: root, flags: [.readOnly, .nonBlocking, .noControllingTerminal])
            guard try fstat(file).kind == .regular else { throw EngineError(.invalidArgument, "\(path) is not a file") }
            return SharedFD(file)
        } catch let error as SystemError {
            throw EngineError(.notFound, "\(path): \(error.errno)")
        }
    }
}
