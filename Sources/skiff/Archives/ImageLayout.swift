import Archive
import FoundationEssentials
import Linux
import OCI
import SystemPackage

/// A directory in OCI's image layout as a source of images: `oci:DIR[:TAG]`, as `skopeo` and `podman` write it. What the
/// wanted images consist of is sent as an archive of the same layout.
struct ImageLayout: Sendable {
    private static let mostBytes = 8 << 20

    let directory: FilePath
    /// One image of several; nil is all of them.
    let tag: String?
    let platform: PlatformChoice?

    /// Nil for what is no such source.
    init?(_ text: String, platform: PlatformChoice?) {
        guard text.hasPrefix("oci:") else { return nil }
        let parts = text.dropFirst(4).split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        directory = FilePath(String(parts[0]))
        tag = parts.count > 1 && !parts[1].isEmpty ? String(parts[1]) : nil
        self.platform = platform
    }

    func write(to writer: TarWriter) throws {
        var index: Index = try read("index.json")
        if let tag {
            index.manifests = index.manifests.filter { names(of: $0).contains(tag) }
            guard !index.manifests.isEmpty else { throw CommandFailure("no image \(tag) in \(directory)") }
        }
        var blobs: [Descriptor] = []
        for (position, entry) in index.manifests.enumerated() {
            blobs += try parts(of: entry, depth: 0)
            index.manifests[position] = named(entry)
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try writer.write(TarEntry(path: Array("index.json".utf8), kind: .file), content: Array(encoder.encode(index)))
        try writer.write(
            TarEntry(path: Array(LayoutNames.marker.utf8), kind: .file), content: LayoutNames.version)
        var written: Set<Digest> = []
        for blob in blobs where written.insert(blob.digest).inserted { try add(blob, to: writer) }
    }

    private func names(of entry: Descriptor) -> [String] {
        [LayoutNames.imageName, LayoutNames.reference].compactMap { entry.annotations?[$0] }
    }

    /// A mere tag, or nothing, becomes a name with that of the directory in front.
    private func named(_ entry: Descriptor) -> Descriptor {
        let given = names(of: entry).first
        guard given.map({ !$0.contains(":") && !$0.contains("/") }) ?? true else { return entry }
        let folder = directory.lexicallyNormalized().lastComponent?.string ?? ""
        // A directory whose name cannot be an image's leaves the image without one.
        guard let reference = try? Reference("\(folder.lowercased()):\(given ?? "latest")") else { return entry }
        var entry = entry
        entry.annotations = (entry.annotations ?? [:]).merging([LayoutNames.imageName: "\(reference)"]) { $1 }
        return entry
    }

    /// The documents and layers that belong to an entry of an index, itself first. Of several platforms only the wanted.
    private func parts(of entry: Descriptor, depth: Int) throws -> [Descriptor] {
        guard depth < 4 else { throw CommandFailure("indexes within indexes in \(directory)") }
        if MediaType.isManifest(entry.mediaType) {
            let manifest: Manifest = try read(LayoutNames.path(entry.digest))
            return [entry, manifest.config] + manifest.layers
        }
        guard MediaType.isIndex(entry.mediaType) else { return [] }
        let index: Index = try read(LayoutNames.path(entry.digest))
        guard let chosen = index.entry(for: platform) else {
            throw CommandFailure("no image for \(platform ?? .host) in \(entry.digest) of \(directory)")
        }
        return [entry] + (try parts(of: chosen, depth: depth + 1))
    }

    private func add(_ blob: Descriptor, to writer: TarWriter) throws {
        let file = try OwnedFD.open(directory.appending(LayoutNames.path(blob.digest)), .readOnly)
        let size = try fstat(file).size
        try writer.begin(TarEntry(path: Array(LayoutNames.path(blob.digest).utf8), kind: .file, size: size))
        let source = FileSource(SharedFD(file))
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
        defer { buffer.deallocate() }
        var left = size
        while left > 0 {
            let count = try source.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(Int(clamping: left))))
            guard count > 0 else { throw CommandFailure("\(blob.digest) in \(directory) became shorter") }
            try writer.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            left -= Int64(count)
        }
    }

    private func read<Document: Decodable>(_ name: String) throws -> Document {
        do {
            let bytes = try OwnedFD.open(directory.appending(name), .readOnly).readAll(limit: Self.mostBytes)
            return try JSONDecoder().decode(Document.self, from: Data(bytes))
        } catch let error as SystemError {
            throw CommandFailure("\(directory) is no image layout: \(error)")
        } catch let error as DecodingError {
            throw CommandFailure("\(name) in \(directory): \(error)")
        }
    }
}
