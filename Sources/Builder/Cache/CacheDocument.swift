import BuildContext
import FoundationEssentials
import Images
import Linux
public import OCI

/// What a cache has: layers, and which step each of them is the result of. It has the form of BuildKit's
/// `application/vnd.buildkit.cacheconfig.v0`, so that registries, `buildctl` and scanners know it for what it is; the keys are
/// our own, and a record says besides when its step was done.
public struct CacheDocument: Codable, Sendable, Equatable {
    public static let mediaType = "application/vnd.buildkit.cacheconfig.v0"
    public static let mostBytes = DocumentLimit.cache
    private static let mostRecords = 20_000

    struct Layer: Codable, Sendable, Equatable {
        var blob: Digest
        /// The layer below it, by number; -1: none of the cache.
        var parent: Int?
        var annotations: Facts?
    }

    struct Facts: Codable, Sendable, Equatable {
        var mediaType: String?
        var diffID: Digest?
        var size: Int64?
    }

    struct Record: Codable, Sendable, Equatable {
        var digest: String
        var layers: [Result]?
        var inputs: [[Input]]?
        /// RFC 3339; BuildKit has none.
        var created: String?
    }

    struct Result: Codable, Sendable, Equatable {
        /// By number.
        var layer: Int
        var createdAt: String?
    }

    /// The record before it, by number.
    struct Input: Codable, Sendable, Equatable {
        var link: Int
    }

    /// A layer that holds what commands keep; BuildKit has none.
    struct Mount: Codable, Sendable, Equatable {
        var key: String
        /// By number.
        var layer: Int
    }

    var layers: [Layer]?
    var records: [Record]?
    var mounts: [Mount]?

    // MARK: Writing

    /// - Parameter blobs: the forms in which the layers are there, by diff id
    public init(_ chains: [[BuildSteps.Step]], mounts: [BuildSteps.Mount] = [], blobs: [Digest: Descriptor]) {
        var layers: [Layer] = []
        var numbers: [Digest: Int] = [:]
        for chain in chains.map({ $0.compactMap(\.layer) }) + mounts.map({ [$0.layer] }) {
            var below = -1
            for layer in chain {
                guard numbers[layer] == nil, let blob = blobs[layer] else {
                    below = numbers[layer] ?? below
                    continue
                }
                numbers[layer] = layers.count
                let facts = Facts(mediaType: blob.mediaType, diffID: layer, size: blob.size)
                layers.append(Layer(blob: blob.digest, parent: below, annotations: facts))
                below = layers.count - 1
            }
        }
        self.layers = layers
        records = Self.records(chains, numbers)
        let found = mounts.compactMap { mount in numbers[mount.layer].map { Mount(key: mount.key, layer: $0) } }
        self.mounts = found.isEmpty ? nil : found
    }

    /// For the image itself: its layers are the cache's.
    init(inlining steps: [BuildSteps.Step], layers: [Digest]) {
        records = Self.records([steps], Dictionary(layers.enumerated().map { ($1, $0) }) { first, _ in first })
    }

    /// Steps whose layer is not there are left out.
    private static func records(_ chains: [[BuildSteps.Step]], _ layers: [Digest: Int]) -> [Record] {
        var records: [Record] = []
        var numbers: [String: Int] = [:]
        for chain in chains {
            var before: Int?
            for step in chain {
                let layer = step.layer.flatMap { layers[$0] }
                guard numbers[step.key] == nil, step.layer == nil || layer != nil else {
                    before = numbers[step.key] ?? before
                    continue
                }
                numbers[step.key] = records.count
                records.append(
                    Record(
                        digest: step.key, layers: layer.map { [Result(layer: $0, createdAt: step.created)] },
                        inputs: before.map { [[Input(link: $0)]] }, created: step.created))
                before = records.count - 1
            }
        }
        return records
    }

    /// The same cache always gives the same bytes.
    public func serialized() throws -> [UInt8] { try encodeDocument(self) }

    /// The manifest that names the document and the layers.
    public func manifest(config: Descriptor) throws -> [UInt8] {
        let blobs = (layers ?? []).map { layer in
            Descriptor(mediaType: layer.annotations?.mediaType ?? MediaType.layer, digest: layer.blob, size: layer.annotations?.size ?? 0)
        }
        return try encodeDocument(Manifest(config: config, layers: blobs))
    }

    // MARK: Reading

    public init(reading bytes: [UInt8]) throws(BuildError) {
        guard bytes.count <= Self.mostBytes else { throw .invalid("it has more than \(Self.mostBytes) bytes") }
        do {
            self = try JSONDecoder().decode(CacheDocument.self, from: Data(bytes))
        } catch {
            throw .invalid("its document cannot be read")
        }
        guard (records ?? []).count <= Self.mostRecords, (layers ?? []).count <= Self.mostRecords else {
            throw .invalid("it has more than \(Self.mostRecords) steps")
        }
    }

    /// The diff ids of the layers, and the blob of each. Throws when one of them is named and not there.
    public func blobs(among blobs: [Digest: Descriptor]) throws(BuildError) -> (layers: [Digest], blobs: [Digest: Descriptor]) {
        var (found, diffIDs): ([Digest: Descriptor], [Digest]) = ([:], [])
        for layer in layers ?? [] {
            guard var blob = blobs[layer.blob], let diffID = layer.annotations?.diffID, diffID.algorithm == .sha256 else {
                throw .invalid("layer \(layer.blob) is not described")
            }
            // An index calls what it names by a type of its own now and then.
            blob.mediaType = layer.annotations?.mediaType ?? blob.mediaType
            found[diffID] = blob
            diffIDs.append(diffID)
        }
        return (diffIDs, found)
    }

    /// The layers of cache mounts, by key.
    public func mounts(layers: [Digest]) throws(BuildError) -> [String: Digest] {
        var found: [String: Digest] = [:]
        for mount in mounts ?? [] {
            guard layers.indices.contains(mount.layer) else { throw .invalid("a cache mount names a layer that is not there") }
            found[mount.key] = layers[mount.layer]
        }
        return found
    }

    /// The steps that say when they were done; others were made by somebody else and mean nothing here.
    /// - Parameter layers: diff ids, in the order of their numbers
    public func steps(layers: [Digest]) throws(BuildError) -> [String: ImportedCache.Step] {
        var steps: [String: ImportedCache.Step] = [:]
        for record in records ?? [] {
            guard let text = record.created else { continue }
            guard let created = Timestamp(rfc3339: text) else { throw .invalid("a step has the time \(text.prefix(40).debugDescription)") }
            let results = record.layers ?? []
            guard results.count <= 1, results.allSatisfy({ layers.indices.contains($0.layer) }) else {
                throw .invalid("a step names a layer that is not there")
            }
            let step = ImportedCache.Step(created: created, layer: results.first.map { layers[$0.layer] })
            guard steps.updateValue(step, forKey: record.digest) ?? step == step else {
                throw .invalid("a step has two results")
            }
        }
        return steps
    }
}

/// An image's configuration with a cache in it.
public struct InlineCache: Encodable {
    let config: ImageConfig
    let document: CacheDocument

    private enum Member: String, CodingKey {
        case cache = "moby.buildkit.cache.v0"
    }

    public func encode(to encoder: any Encoder) throws {
        try config.encode(to: encoder)
        var container = encoder.container(keyedBy: Member.self)
        try container.encode(Data(try document.serialized()), forKey: .cache)
    }

    /// The steps in the configuration of an image, and its layers' diff ids; nil when there are no steps.
    public static func read(in configBytes: [UInt8]) throws -> (steps: [String: ImportedCache.Step], layers: [Digest])? {
        struct Found: Decodable {
            var cache: Data?
            var rootfs: ImageConfig.RootFS

            enum CodingKeys: String, CodingKey {
                case cache = "moby.buildkit.cache.v0"
                case rootfs
            }
        }
        let found: Found
        do {
            found = try JSONDecoder().decode(Found.self, from: Data(configBytes))
        } catch {
            throw BuildError.invalid("the configuration cannot be read")
        }
        guard let cache = found.cache else { return nil }
        let layers = found.rootfs.diffIDs
        return (try CacheDocument(reading: [UInt8](cache)).steps(layers: layers), layers)
    }
}
