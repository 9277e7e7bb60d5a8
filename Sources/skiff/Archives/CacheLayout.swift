import BuildContext
import FoundationEssentials
import Linux
import OCI
import SystemPackage

/// A folder in OCI's image layout in which builds keep caches, each under its tag.
struct CacheLayout: Sendable {
    let directory: FilePath

    init(_ directory: FilePath) {
        self.directory = directory
    }

    /// Files that belong to a tag, or to what has none, as paths inside the folder. What cannot be read names nothing.
    func blobs(ofTag tag: String) -> [String] {
        let entries = index()?.manifests.filter { [nil, tag].contains($0.annotations?[LayoutNames.reference]) } ?? []
        return blobs(of: entries).map(LayoutNames.path)
    }

    /// Takes over what is in another folder of the file system. Other tags stay; files that no tag needs any more go.
    func merge(_ other: FilePath) throws {
        let (old, arrived) = (index(), CacheLayout(other))
        guard var new = arrived.index() else { throw CommandFailure("the engine has sent a cache that cannot be read") }
        for blob in arrived.blobs(of: new.manifests) {
            let place = directory.appending(LayoutNames.path(blob))
            try makeDirectories(place.removingLastComponent(), mode: 0o755)
            try rename(other.appending(LayoutNames.path(blob)), to: place)
        }
        let tags = Set(new.manifests.compactMap { $0.annotations?[LayoutNames.reference] })
        new.manifests += (old?.manifests ?? []).filter { !tags.contains($0.annotations?[LayoutNames.reference] ?? "") }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try writeAtomically(LayoutNames.version, to: directory.appending(LayoutNames.marker), mode: 0o644, sync: false)
        try writeAtomically(Array(try encoder.encode(new)), to: directory.appending("index.json"), mode: 0o644, sync: false)
        for blob in blobs(of: old?.manifests ?? []).subtracting(blobs(of: new.manifests)) {
            try removeTree(directory.appending(LayoutNames.path(blob)))
        }
    }

    private func index() -> Index? { read("index.json") }

    /// What entries of an index name, with themselves.
    private func blobs(of entries: [Descriptor], depth: Int = 0) -> Set<Digest> {
        var found: Set<Digest> = []
        for entry in entries where found.insert(entry.digest).inserted && depth < 4 {
            if MediaType.isManifest(entry.mediaType), let manifest: Manifest = read(LayoutNames.path(entry.digest)) {
                found.formUnion([manifest.config.digest] + manifest.layers.map(\.digest))
            } else if MediaType.isIndex(entry.mediaType), let index: Index = read(LayoutNames.path(entry.digest)) {
                found.formUnion(blobs(of: index.manifests, depth: depth + 1))
            }
        }
        return found
    }

    private func read<Document: Decodable>(_ name: String) -> Document? {
        let file = try? OwnedFD.open(directory.appending(name), [.readOnly, .nonBlocking])
        guard let file, let bytes = try? file.readAll(limit: DocumentLimit.cache) else { return nil }
        return try? JSONDecoder().decode(Document.self, from: Data(bytes))
    }
}
