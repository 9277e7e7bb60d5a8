import Archive
import Blocking
import Linux
import OCI
import Registry
import Store
import Synchronization
import SystemPackage

/// How far a layer is on its way, in the words of Docker's progress.
public enum TransferStep: Sendable, Equatable {
    case waiting
    case alreadyExists
    case downloading(current: Int64, total: Int64)
    case verifying
    case downloaded
    case extracting(current: Int64, total: Int64)
    case pulled
    case preparing
    case pushing(current: Int64, total: Int64)
    case layerExists
    case mounted(from: String)
    case pushed
    case retrying
}

/// Gets one layer from a registry into the store: the bytes come over the network while they are digested, inflated and
/// unpacked. Nothing is published before everything is verified.
struct LayerFetch: Sendable {
    let layers: LayerStore
    let transfers: TransferRecords
    let downloads: FilePath
    let underWay: BlobsUnderWay
    let descriptor: Descriptor
    /// As the configuration of the image says.
    let diffID: Digest
    let repository: RepositoryClient
    let domain: String
    let configuration: RegistryConfiguration
    let tell: @Sendable (TransferStep) -> Void

    func run() async throws {
        underWay.begin(descriptor.digest)
        defer { underWay.end(descriptor.digest) }
        if try await publishReady() { return tell(.pulled) }
        var isSecondTry = false
        while true {
            let blob = try await blocking { [descriptor, downloads] in try PartialBlob(descriptor, in: downloads) }
            do {
                return try await transfer(blob)
            } catch let error as LayerMismatch {
                // What an earlier transfer has left may have been damaged meanwhile, by a power cut for instance.
                try await removeFiles()
                guard blob.resumedBytes > 0, !isSecondTry else { throw error.error }
                isSecondTry = true
                tell(.retrying)
            } catch let error as SystemError where error.errno == .noSpace {
                // The bytes are as good as before; the pull decides whether they may stay.
                throw error
            } catch let error where !(error is RegistryError || error is CancellationError) {
                // To go on with these bytes would lead here again.
                try await removeFiles()
                throw error
            }
        }
    }

    private func transfer(_ blob: PartialBlob) async throws {
        let unpacked = try await unpackWhileFetching(blob)
        try await blocking { [layers, descriptor, downloads] in
            do {
                try publish(ReadyLayer(unpacked, of: descriptor.digest, in: downloads))
            } catch {
                layers.discard(unpacked.place)
                throw error
            }
        }
        tell(.pulled)
    }

    /// What an engine has unpacked that was killed before it could publish it. False when there is none.
    private func publishReady() async throws -> Bool {
        try await blocking { [descriptor, diffID, downloads] in
            guard let ready = try ReadyLayer.find(descriptor.digest, diffID, in: downloads) else { return false }
            try publish(ready)
            return true
        }
    }

    private func publish(_ ready: ReadyLayer) throws {
        do {
            if try !layers.isWhole(diffID) { try syncFilesystem(of: ready.layer.place) }
        } catch {
            // What the disk did not take it does not tell a second time.
            try ReadyLayer.remove(descriptor.digest, in: downloads)
            throw error
        }
        try layers.publish(ready.layer.place, as: diffID, size: ready.layer.size, isSynced: true)
        try transfers.keep(diffID)
        let form = LayerBlob(
            digest: descriptor.digest, diffID: diffID, size: descriptor.size, mediaType: descriptor.mediaType, isMadeHere: false)
        try transfers.note(form, domain: domain, repository: repository.path)
        try ready.forget()
    }

    private func unpackWhileFetching(_ blob: PartialBlob) async throws -> UnpackedLayer {
        let total = descriptor.size
        let tell = tell
        let download = BlobDownload(
            blob: blob, descriptor: descriptor, repository: repository, configuration: configuration,
            progress: { tell(.downloading(current: $0, total: total)) })
        return try await withThrowingTaskGroup(of: UnpackedLayer?.self) { group in
            group.addTask {
                do {
                    try await download.run()
                } catch {
                    blob.fail(error)
                    throw error
                }
                tell(.verifying)
                tell(.downloaded)
                return nil
            }
            group.addTask { try await onThrowawayThread { try unpack(blob) } }
            do {
                var result: UnpackedLayer?
                while let finished = try await group.next() { result = finished ?? result }
                guard let result else { throw CancellationError() }
                return result
            } catch {
                group.cancelAll()
                // The other one ends, too, before its files go.
                while case let left? = await group.nextResult() {
                    if case .success(let layer?) = left { layers.discard(layer.place) }
                }
                throw error
            }
        }
    }

    /// On a thread that sleeps until bytes come.
    private func unpack(_ blob: PartialBlob) throws -> UnpackedLayer {
        let (tell, total) = (tell, descriptor.size)
        let source = PartialBlobSource(blob) { position in
            if blob.isComplete { tell(.extracting(current: position, total: total)) }
        }
        let hashing = HashingSource(source)
        let layer: UnpackedLayer
        do {
            layer = try layers.unpackNow(decompressing(hashing))
        } catch let error as ExtractionError where error.cause.errno == .noSpace {
            throw error.cause
        } catch let error where error is ArchiveError || error is ExtractionError {
            // Perhaps the archive is bad, perhaps its transfer; the digest tells.
            guard try hashing.finish() == descriptor.digest else { throw mismatch }
            throw error
        }
        do {
            guard try hashing.finish() == descriptor.digest else { throw mismatch }
            guard layer.diffID == diffID else {
                throw ImageError.invalid("layers from manifest don't match image configuration")
            }
            return layer
        } catch {
            layers.discard(layer.place)
            throw error
        }
    }

    private var mismatch: LayerMismatch {
        LayerMismatch(error: RegistryError(.invalidReply, "filesystem layer verification failed for digest \(descriptor.digest)"))
    }

    private func removeFiles() async throws {
        try await blocking { [descriptor, downloads] in try PartialBlob.remove(descriptor.digest, in: downloads) }
    }
}

/// The blobs that are being fetched: what is there of them is no left-over.
final class BlobsUnderWay: Sendable {
    private let counts = Mutex<[Digest: Int]>([:])

    func begin(_ blob: Digest) { counts.withLock { $0[blob, default: 0] += 1 } }

    func end(_ blob: Digest) {
        counts.withLock { counts in
            let left = counts[blob, default: 1] - 1
            counts[blob] = left == 0 ? nil : left
        }
    }

    func contains(_ blob: Digest) -> Bool { counts.withLock { $0[blob] != nil } }
}

/// The bytes that came are not those that were asked for.
private struct LayerMismatch: Error {
    let error: RegistryError
}
