import Blocking
import Linux
import NIOCore
public import OCI
public import Registry
import Store
public import SystemPackage

// Layers that come and go by themselves, without an image: those of a build's cache.
extension ImageStore {
    /// Gets one layer from a repository. Nothing is published unless the blob has the digest of the descriptor, and its content
    /// that diff id. Whoever calls holds the layer.
    public func fetchLayer(
        _ blob: Descriptor, _ diffID: Digest, from repository: RepositoryClient, domain: String, _ configuration: RegistryConfiguration
    ) async throws {
        guard (0...PartialBlob.largest).contains(blob.size), blob.digest.algorithm == .sha256, LayerMediaType.isKnown(blob.mediaType) else {
            throw RegistryError(.unsupported, "unsupported layer \(blob.digest): \(blob.mediaType.prefix(200)), \(blob.size) bytes")
        }
        try await fetch(blob, diffID, from: repository, domain: domain, configuration) { _ in }
        // Transfers keep layers for the rest of their pull, and of this one there is none.
        try await blocking { [transfers] in try transfers.stopKeeping([diffID]) }
    }

    /// Sees to it that a repository has the layers, and answers in which form each.
    /// - Parameter compression: nil takes what is there, and packs with gzip what has to be sent
    public func pushLayers(
        _ wanted: [Digest], to repository: RepositoryClient, domain: String, _ configuration: RegistryConfiguration,
        compression: LayerCompression?
    ) async throws -> [Digest: Descriptor] {
        try await layers.holding(wanted) {
            try await withThrowingTaskGroup(of: LayerBlob.self) { group in
                for layer in Set(wanted) {
                    group.addTask { [self] in
                        try await uploadSlots.take {
                            try await LayerPush(
                                layers: layers, transfers: transfers, layer: layer, repository: repository, domain: domain,
                                configuration: configuration, compression: compression, tell: { _ in }
                            ).run()
                        }
                    }
                }
                return try await group.reduce(into: [Digest: Descriptor]()) { blobs, form in
                    let type = LayerMediaType.converted(form.mediaType, isOCI: true)
                    blobs[form.diffID] = Descriptor(mediaType: type, digest: form.digest, size: form.size)
                }
            }
        }
    }

    /// Packs a layer into a file of the directory that is named by the digest's digits.
    public func packLayer(_ layer: Digest, as compression: LayerCompression, into directory: FilePath) async throws -> Descriptor {
        let place = directory.appending("layer-\(layer.hex)")
        let packed = try CompressedLayer(layer, of: layers, as: compression)
        do {
            let file = try await blocking { SharedFD(try OwnedFD.open(place, [.writeOnly, .create, .exclusive], mode: 0o644)) }
            while let bytes = try await packed.next() {
                try await blocking { try bytes.withUnsafeReadableBytes { bytes in try file.withOwned { try $0.writeAll(bytes) } } }
            }
            let made = try packed.finished()
            try await packed.stop()
            try await blocking { try rename(place, to: directory.appending(made.digest.hex)) }
            return Descriptor(mediaType: compression.mediaType, digest: made.digest, size: made.size)
        } catch {
            try await packed.stop()
            throw error
        }
    }
}
