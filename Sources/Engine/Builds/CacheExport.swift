import Blocking
import BuildContext
import Builder
import DockerAPI
import Images
import Linux
import OCI
import Registry
import Store
import SystemPackage

/// Writes the steps of a build to where `--cache-to` says.
struct CacheExport: Sendable {
    let images: ImageStore
    let registries: Registries
    let auth: RegistryAuth?
    let deposits: BuildDeposits
    /// Whose end begins the time of what is left there.
    let build: String
    let temporary: FilePath
    let say: @Sendable (String) async throws -> Void
    /// Tells the client where it gets a folder's content.
    let tell: @Sendable (_ deposit: String) async throws -> Void

    func write(_ steps: BuildSteps, to places: [CachePlace]) async throws {
        for place in places where place.kind != .inline {
            try await say("Exporting cache to \(place.name)\n")
            do {
                if place.kind == .local { try await fill(place, steps) } else { try await push(place, steps) }
            } catch let error where !(error is CancellationError) {
                try Task.checkCancellation()
                let message = "error writing cache to \(place.name): \(error)"
                guard place.ignoresErrors else { throw EngineError(.internalError, message) }
                try await say("[Warning] \(message)\n")
                // One place is one answer, so that the client knows which is which.
                if place.kind == .local { try await tell("") }
            }
        }
    }

    private func push(_ place: CachePlace, _ steps: BuildSteps) async throws {
        let reference = try ContainerEngine.pullReference(place.reference, tag: "").withDefaultTag()
        guard let tag = reference.tag, reference.digest == nil else {
            throw EngineError(.invalidArgument, "a cache goes to a tag, not to a digest")
        }
        let credentials = auth?.credentials(for: reference.domain) ?? .anonymous
        let target = try await blocking { [registries] in try registries.target(of: reference, credentials) }
        let repository = try await target.connect(for: .push)
        let mounts = place.takesMounts ? try await steps.mounts() : []
        let blobs = try await images.pushLayers(
            steps.layers(place.mode) + mounts.map(\.layer), to: repository, domain: target.isMirror ? "mirror:\(target.host)" : reference.domain,
            registries.configuration, compression: LayerCompression(rawValue: place.compression))
        let document = CacheDocument(steps.chains(place.mode), mounts: mounts, blobs: blobs)
        let (bytes, config) = try Self.config(document)
        if try await repository.blobSize(config.digest) == nil { try await repository.upload(bytes, digest: config.digest) }
        try await repository.putManifest(try document.manifest(config: config), mediaType: MediaType.manifest, as: .tag(tag))
    }

    /// Makes an image layout of which the client takes a copy.
    private func fill(_ place: CachePlace, _ steps: BuildSteps) async throws {
        let folder = temporary.appending("cache-\(makeID())")
        do {
            let blobFolder = folder.appending("blobs/sha256")
            try await blocking { try makeDirectories(blobFolder, mode: 0o755) }
            var blobs: [Digest: Descriptor] = [:]
            let compression = LayerCompression(rawValue: place.compression) ?? .gzip
            let mounts = place.takesMounts ? try await steps.mounts() : []
            for layer in steps.layers(place.mode) + mounts.map(\.layer) where blobs[layer] == nil {
                blobs[layer] = try await images.packLayer(layer, as: compression, into: blobFolder)
            }
            let document = CacheDocument(steps.chains(place.mode), mounts: mounts, blobs: blobs)
            try await blocking { try Self.write(document, place.tag, to: folder) }
            try await tell(try await deposits.add(.cache(folder), leftBy: build))
        } catch {
            try await blocking { try removeTree(folder) }
            throw error
        }
    }

    private static func write(_ document: CacheDocument, _ tag: String, to folder: FilePath) throws {
        let (bytes, config) = try config(document)
        let manifest = try document.manifest(config: config)
        let entry = Descriptor(
            mediaType: MediaType.manifest, digest: Digest.sha256(of: manifest), size: Int64(manifest.count),
            annotations: [LayoutNames.reference: tag])
        let files: [(String, [UInt8])] = [
            (LayoutNames.path(config.digest), bytes), (LayoutNames.path(entry.digest), manifest),
            ("index.json", try encodeDocument(Index(manifests: [entry]))), (LayoutNames.marker, LayoutNames.version),
        ]
        for (name, content) in files { try writeAtomically(content, to: folder.appending(name), mode: 0o644, sync: false) }
    }

    private static func config(_ document: CacheDocument) throws -> (bytes: [UInt8], Descriptor) {
        let bytes = try document.serialized()
        return (bytes, Descriptor(mediaType: CacheDocument.mediaType, digest: Digest.sha256(of: bytes), size: Int64(bytes.count)))
    }
}

extension CachePlace {
    var mode: BuildSteps.Mode { takesAll ? .max : .min }
}

extension ContainerEngine {
    /// The files of a cache that a build has written for its client, who gets them once. Nothing is taken before it is sent.
    public func takeBuildCache(_ id: String) async throws -> @Sendable (ByteSender) async throws -> Void {
        try await deposits.checkCache(id)
        let deposits = deposits
        return { send in
            let folder = try await deposits.takeCache(id)
            do {
                let opened = try await blocking { SharedFD(try OwnedFD.open(folder, [.readOnly, .directory])) }
                try await ByteBridge.archive(opened, to: send)
            } catch {
                try await blocking { try removeTree(folder) }
                throw error
            }
            try await blocking { try removeTree(folder) }
        }
    }
}
