import Archive
import FoundationEssentials
import OCI
import Store

/// An OCI layout with one image of one layer, perhaps with something wrong in it.
struct Layout {
    enum Lie: CaseIterable {
        case layerDigest, layerSize, diffID, configDigest, manifestWithManifests, missingLayer, layerCount, duplicateEntry, noImage
        case mediaType
    }

    var layer: [UInt8]
    var packed: [UInt8]
    var name: String
    var lie: Lie?

    init(layer: [UInt8], compression: Compression, name: String) throws {
        self.layer = layer
        self.name = name
        let sink = MemorySink()
        if compression == .gzip {
            let gzip = try GzipSink(sink)
            try layer.withUnsafeBytes { try gzip.write($0) }
            try gzip.finish()
        } else {
            let zstd = try ZstdSink(sink)
            try layer.withUnsafeBytes { try zstd.write($0) }
            try zstd.finish()
        }
        packed = sink.bytes
    }

    func archive() throws -> [UInt8] {
        let other = Digest.sha256(of: [1, 2, 3])
        let diffID = lie == .diffID ? other : Digest.sha256(of: layer)
        let config = ImageConfig(rootfs: .init(diffIDs: lie == .layerCount ? [diffID, diffID] : [diffID]))
        let configBytes = try encode(config)
        let layerDigest = lie == .layerDigest ? other : Digest.sha256(of: packed)
        let manifest = Manifest(
            config: descriptor(configBytes, MediaType.config),
            layers: [
                Descriptor(mediaType: MediaType.layerGzip, digest: layerDigest, size: Int64(packed.count) + (lie == .layerSize ? 1 : 0))
            ])
        var manifestBytes = try encode(manifest)
        if lie == .manifestWithManifests {
            manifestBytes = Array(#"{"manifests":[],"#.utf8) + manifestBytes.dropFirst()
        }
        var entry = descriptor(manifestBytes, lie == .mediaType ? MediaType.index : MediaType.manifest)
        entry.annotations = ["io.containerd.image.name": name]

        var files = [
            (path(entry.digest), manifestBytes), (path(Digest.sha256(of: configBytes)), configBytes + (lie == .configDigest ? [10] : [])),
        ]
        if lie != .missingLayer { files.append((path(layerDigest), packed)) }
        if lie == .duplicateEntry { files.append((path(layerDigest), packed)) }
        if lie != .noImage { files.append(("index.json", try encode(Index(manifests: [entry])))) }

        let sink = MemorySink()
        let writer = TarWriter(sink)
        for (path, bytes) in files { try writer.write(TarEntry(path: Array(path.utf8), kind: .file), content: bytes) }
        try writer.finish()
        return sink.bytes
    }

    private func path(_ digest: Digest) -> String { "blobs/sha256/\(digest.hex)" }

    private func descriptor(_ bytes: [UInt8], _ type: String) -> Descriptor {
        Descriptor(mediaType: type, digest: Digest.sha256(of: bytes), size: Int64(bytes.count))
    }

    private func encode(_ value: some Encodable) throws -> [UInt8] { Array(try JSONEncoder().encode(value)) }
}
