import Blocking
import FoundationEssentials
import Linux
public import Logging
public import OCI
public import Store
import Synchronization
public import SystemPackage

/// The images on this machine: what they are named, what they are made of, and their way in and out.
///
/// An image's row in the database is written last and removed first, so that whatever happens in between, an image that
/// is listed is whole. What a crash leaves behind without a row is swept when the store is opened.
public final class ImageStore: Sendable {
    /// The unpacked layers that the images consist of.
    public let layers: LayerStore

    let logger: Logger
    let temporary: FilePath
    /// Halves of blobs that pulls go on with.
    let downloads: FilePath
    let underWay = BlobsUnderWay()
    let transfers: TransferRecords
    /// By diff id: a layer comes once, however many ask for it.
    let fetches = SharedWork<Digest, TransferStep>()
    let downloadSlots: Slots
    let uploadSlots: Slots
    let blobs: BlobStore
    let records: ImageRecords
    private let damaged: FilePath
    private let known = Mutex<[Digest: KnownImage]>([:])
    /// As they were listed last, and the state of the database then.
    private let listed = Mutex<(state: Int, images: [Image])?>(nil)
    /// Held while a configuration and its row come or go together.
    private let changes = Mutex<Void>(())

    /// Opens the store below the data root and empties `<root>/tmp`, so it comes before anything else that uses it.
    ///
    /// As many layers as stated come and go at a time.
    public init(
        root: FilePath, database: Database, concurrentDownloads: Int = 3, concurrentUploads: Int = 5, logger: Logger = Logger(label: "images")
    ) async throws {
        self.logger = logger
        temporary = root.appending("tmp")
        damaged = root.appending("damaged")
        let downloads = root.appending("downloads")
        self.downloads = downloads
        records = database.images
        transfers = database.transfers
        downloadSlots = Slots(concurrentDownloads)
        uploadSlots = Slots(concurrentUploads)
        let transfers = transfers
        let (temporary, records, underWay) = (temporary, records, underWay)
        (blobs, layers) = try await blocking {
            try makeDirectories(temporary)
            try emptyDirectory(temporary, logger)
            let blobs = try BlobStore(root: root.appending("blobs"), temporary: temporary)
            let layers = try LayerStore(
                root: root.appending("layers"), temporary: temporary, records: database.layers, logger: logger)
            try sweepBlobs(blobs, records)
            try makeDirectories(downloads)
            // A day is long enough to come back to a pull that broke off.
            try sweepDownloads(downloads, olderThan: 86_400, except: underWay, logger)
            let yesterday = Timestamp(seconds: Timestamp.now().seconds - 86_400)
            try transfers.stopKeeping(before: yesterday)
            try layers.sweep()
            return (blobs, layers)
        }
    }

    /// The image that a user means: a tag, a name with a digest, a whole id or the beginning of one.
    public func image(_ nameOrID: String) async throws -> Image {
        try await blocking { try self.find(nameOrID).image }
    }

    /// All images, the newest in the store first. One whose configuration cannot be read is left out, and logged.
    public func list() async throws -> [Image] {
        let state = records.state
        if let known = listed.withLock({ $0?.state == state ? $0?.images : nil }) { return known }
        return try await blocking {
            let records = try self.records.all()
            let images: [Image] = records.compactMap { record in
                do {
                    return try self.load(record)
                } catch {
                    self.logger.error(
                        "image cannot be read", metadata: ["image": "\(record.id)", "error": "\(error)"])
                    return nil
                }
            }
            // Whatever was committed since then comes with another number, so that at worst the list is made once more.
            if images.count == records.count { self.listed.withLock { $0 = (state, images) } }
            return images
        }
    }

    /// Gives the image that a name or an id means a further name (`latest` where none is said), with what goes with it. Another
    /// image that had the name loses it.
    @discardableResult
    public func tag(_ nameOrID: String, _ reference: Reference) async throws -> Image {
        try await blocking {
            let name = reference.withDefaultTag()
            guard name.tag != nil else { throw ImageError.invalid("refusing to create a tag with a digest reference") }
            let found = try self.find(nameOrID)
            try self.name(found.image.id, name, as: found.name)
            return found.image
        }
    }

    /// Notes that a container or a build begins with the image.
    public func noteUse(of id: Digest) async throws {
        try await blocking { try self.records.noteUse(id) }
    }

    /// Makes an image of layers that are in the store (`config.rootfs.diffIDs`).
    public func create(config: ImageConfig, references: [Reference]) async throws -> Image {
        try await createOrFind(configBytes: encodeDocument(config), references: references).image
    }

    /// The same of the bytes of a configuration, which may have members that we have no type for, and whether there was no such
    /// image before.
    public func createOrFind(configBytes: [UInt8], references: [Reference], attachments: ImageAttachments? = nil) async throws
        -> (image: Image, isNew: Bool)
    {
        try await blocking {
            let isNew = try self.records.find(Digest.sha256(of: configBytes)) == nil
            return (try self.add(configBytes: configBytes, references: references, attachments: attachments), isNew)
        }
    }

    // MARK: The same for threads that may sleep

    /// Makes an image from the bytes of its configuration. `StoreError.layerMissing` when a layer is not in the store.
    func add(configBytes: [UInt8], references: [Reference], attachments: ImageAttachments? = nil) throws -> Image {
        let config = try StoredConfig(configBytes)
        let attached = try attachments?.document()
        let names = references.map { "\($0.withDefaultTag())" }
        let id = try changes.withLock { _ in
            let id = try blobs.write(configBytes)
            try records.save(id: id, layers: config.value.rootfs.diffIDs, references: names, attachments: attached)
            return id
        }
        guard let record = try records.find(id) else { throw ImageError.notFound("\(id)") }
        return try load(record)
    }

    /// How an image was found: by one of its names, or by its id.
    struct Found {
        var image: Image
        var reference: Reference?

        /// The name, if it is one of the image's and not only another word for its id.
        var name: Reference? { reference.flatMap { image.references.contains($0) ? $0 : nil } }

        /// The digest of what goes with it.
        var attached: Digest? { name.map { image.namedAttachments["\($0)"] } ?? image.attachments }
    }

    func find(_ nameOrID: String) throws -> Found {
        if let digest = try? Digest(nameOrID) {  // Anything else is looked at as a name below.
            guard let record = try records.find(digest) else { throw ImageError.notFound(nameOrID) }
            return Found(image: try load(record))
        }
        let named = try? Reference(nameOrID).withDefaultTag()  // A whole id is no reference.
        // A tag beside a digest says nothing more.
        let reference = named.map { named in named.digest.map { named.with($0) } ?? named }
        if let reference, let record = try records.find(reference: "\(reference)") ?? findByDigest(reference) {
            return Found(image: try load(record), reference: reference)
        }
        let candidates = try isIDPrefix(nameOrID) ? records.find(idPrefix: nameOrID) : []
        if candidates.count > 1 { throw ImageError.ambiguous(nameOrID) }
        guard let record = candidates.first else {
            throw ImageError.notFound(reference?.familiarString ?? nameOrID)
        }
        return Found(image: try load(record))
    }

    /// Gives an image that is there a further name, which may have a digest.
    /// - Parameter source: the name by which it is meant; nil: its id
    func name(_ id: Digest, _ reference: Reference, as source: Reference?) throws {
        guard try records.setReference("\(reference)", to: id, as: source?.description) else { throw ImageError.notFound("\(id)") }
    }

    /// Takes names away from an image.
    func untag(_ references: [Reference]) throws {
        try records.deleteReferences(references.map(\.description))
    }

    /// Forgets an image and removes what only it needed. Answers the layers that went.
    func delete(_ image: Image) throws -> FreedLayers {
        try changes.withLock { _ in
            try records.delete([image.id])
            try blobs.delete(image.id)
        }
        _ = known.withLock { $0.removeValue(forKey: image.id) }
        return try layers.removeUnusedNow(among: image.layers)
    }

    /// The blobs that rows refer to.
    func blobsInUse() throws -> Set<Digest> { Set(try records.all().map(\.id)) }

    /// Runs the body while no image comes or goes.
    func withoutChanges<T>(_ body: () throws -> T) rethrows -> T {
        try changes.withLock { _ in try body() }
    }

    /// Moves something out of the way to where nothing looks for it, and answers where that is.
    func setAside(_ path: FilePath, _ name: String) throws -> FilePath {
        try makeDirectories(damaged)
        let place = damaged.appending("\(name)-\(UInt32.random(in: .min ... .max))")
        try rename(path, to: place)
        try syncDirectory(damaged)
        return place
    }

    /// `name@sha256:<id>` means the image with that id, if it has the name.
    private func findByDigest(_ reference: Reference) throws -> ImageRecord? {
        guard let digest = reference.digest, let record = try records.find(digest) else { return nil }
        return record.references.contains { $0.hasPrefix("\(reference.name):") } ? record : nil
    }

    private func isIDPrefix(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count) && text.utf8.allSatisfy { "0123456789abcdef".utf8.contains($0) }
    }

    /// What was read of an image once is kept: its configuration never changes, and the rest as long as its row is the same.
    private func load(_ record: ImageRecord) throws -> Image {
        let earlier = known.withLock { $0[record.id] }
        if let earlier, earlier.record == record { return earlier.image }
        let document = try earlier?.image.document ?? StoredConfig(blobs.read(record.id, limit: Limits.documentBytes))
        let image = Image(
            id: record.id, document: document, layers: record.layers, size: record.size,
            references: try record.references.map { try Reference($0) }, namedAttachments: record.namedAttachments,
            attachments: record.attachments, lastUsed: record.used)
        known.withLock { $0[record.id] = KnownImage(record: record, image: image) }
        return image
    }
}

private struct KnownImage: Sendable {
    let record: ImageRecord
    let image: Image
}

/// Bounds on what an archive may make us hold in memory.
enum Limits {
    /// A manifest, an index or a configuration.
    static let documentBytes = 8 << 20
    /// What goes with an image, all of it.
    static let attachmentBytes = 32 << 20
    /// A statement about an image, wherever it comes from.
    static let statementBytes = 16 << 20
    /// What it states. The image's names stand around that.
    static let predicateBytes = statementBytes - (1 << 20)
    /// All documents of an archive.
    static let archiveDocumentBytes = 128 << 20
}

/// One of the JSON documents of an image: the same value always gives the same bytes.
public func encodeDocument(_ value: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return Array(try encoder.encode(value))
}

/// Reads one of the JSON documents of an image.
func decodeDocument<T: Decodable>(
    _ type: T.Type, from bytes: [UInt8], _ what: String, limit: Int = Limits.documentBytes
) throws -> T {
    guard bytes.count <= limit else { throw ImageError.invalid("\(what) is too large") }
    do {
        return try JSONDecoder().decode(type, from: Data(bytes))
    } catch {
        throw ImageError.invalid("invalid \(what): \(error)")
    }
}

/// Removes what an interrupted run has left in the folder for temporary things.
private func emptyDirectory(_ path: FilePath, _ logger: Logger) throws {
    let directory = try OwnedFD.open(path, [.readOnly, .directory])
    for name in try namesInDirectory(directory) {
        do {
            try removeTree(in: directory, name)
        } catch {
            logger.warning("temporary file cannot be removed", metadata: ["name": "\(name)", "error": "\(error)"])
        }
    }
}

/// Removes the configurations that no image has.
private func sweepBlobs(_ blobs: BlobStore, _ records: ImageRecords) throws {
    let used = Set(try records.all().map(\.id))
    for blob in try blobs.all() where !used.contains(blob) { try blobs.delete(blob) }
}
