import Archive
import Blocking
import FoundationEssentials
public import Linux
import OCI
import Store
import SystemPackage

extension ImageStore {
    /// `docker save`: writes images with their layers as one tar that is an OCI layout and has Docker's `manifest.json`.
    /// The layers have exactly the bytes of their diff ids, which is verified while they are written. Needs little memory.
    /// With `platform` an image for another one is an error.
    public func save(_ names: [String], platform: PlatformChoice? = nil, withAttachments: Bool = true, to output: SharedFD) async throws {
        try await blocking {
            let found = try names.map { try self.find($0) }
            if let platform { for (one, name) in zip(found, names) { try one.image.check(platform, name) } }
            let held = found.flatMap(\.image.layers)
            self.layers.hold(held)
            defer { self.layers.release(held) }
            let archive = ImageArchive(FileSink(output), self.layers)
            try archive.write(
                Self.grouped(found).map { group in
                    let attachments = withAttachments ? try self.attachments(of: group.found) : nil
                    return ArchivedGroup(
                        image: group.found.image, references: group.references,
                        documents: try self.archived(group.found.image, group.references, attachments))
                })
        }
    }

    /// Each image once, with the names under which it was asked for; apart where something else goes with it.
    private static func grouped(_ found: [Found]) -> [(found: Found, references: [Reference])] {
        var groups: [(found: Found, references: [Reference])] = []
        for one in found {
            // A digest is no name that an archive could give back.
            let references = one.reference.flatMap { $0.digest == nil ? [$0] : nil } ?? []
            let same = groups.firstIndex { other in
                other.found.image.id == one.image.id && other.found.attached == one.attached
            }
            if let same {
                groups[same].references += references.filter { !groups[same].references.contains($0) }
            } else {
                groups.append((one, references))
            }
        }
        return groups
    }
}

/// An image that is written, with the names that it gets.
private struct ArchivedGroup {
    let image: Image
    let references: [Reference]
    let documents: ImageDocuments
}

extension Image {
    /// Throws Docker's complaint unless the image is for that platform.
    public func check(_ wanted: PlatformChoice, _ name: String) throws {
        guard !wanted.matches(config.platform) else { return }
        throw ImageError.invalid(
            "image with reference \(name) was found but does not provide the specified platform (\(wanted))")
    }
}

/// The archive of `docker save` while it is written:
///
/// ```
/// blobs/sha256/<hex>   layers, configurations, manifests
/// index.json  manifest.json  oci-layout
/// ```
private final class ImageArchive {
    private let writer: TarWriter
    private let layers: LayerStore
    private var written: Set<Digest> = []

    init(_ sink: any ByteSink, _ layers: LayerStore) {
        writer = TarWriter(sink)
        self.layers = layers
    }

    func write(_ groups: [ArchivedGroup]) throws {
        try writer.begin(TarEntry(path: Array("blobs/".utf8), kind: .directory, mode: 0o755))
        try writer.begin(TarEntry(path: Array("blobs/sha256/".utf8), kind: .directory, mode: 0o755))
        var index = Index(manifests: [])
        var saved: [SavedManifest] = []
        for group in groups {
            try writeParts(group)
            index.manifests += entries(group.documents.top.descriptor, group.references)
            saved.append(
                SavedManifest(
                    config: LayoutNames.path(group.image.id), repoTags: group.references.map(\.familiarString),
                    layers: group.image.layers.map { LayoutNames.path($0) }))
        }
        try write("index.json", encodeDocument(index))
        try write("manifest.json", encodeDocument(saved))
        try write(LayoutNames.marker, LayoutNames.version)
        try writer.finish()
    }

    /// Writes what belongs to an image.
    private func writeParts(_ group: ArchivedGroup) throws {
        let documents = group.documents
        for layer in documents.layers where written.insert(layer.digest).inserted {
            try writer.begin(blob(layer.digest, size: layer.size))
            try layers.writeTar(layer.digest, to: EntrySink(writer))
        }
        try writeBlob(group.image.configBytes, group.image.id)
        for document in documents.blobs + documents.manifests + [documents.top] {
            try writeBlob(document.bytes, document.descriptor.digest)
        }
    }

    /// One entry for each name, as containerd reads them.
    private func entries(_ manifest: Descriptor, _ references: [Reference]) -> [Descriptor] {
        if references.isEmpty { return [manifest] }
        return references.map { reference in
            var entry = manifest
            entry.annotations = (entry.annotations ?? [:]).merging([
                LayoutNames.imageName: "\(reference)",
                LayoutNames.reference: reference.tag ?? "latest",
            ]) { $1 }
            return entry
        }
    }

    private func writeBlob(_ bytes: [UInt8], _ digest: Digest) throws {
        if written.insert(digest).inserted { try writer.write(blob(digest, size: 0), content: bytes) }
    }

    private func blob(_ digest: Digest, size: Int64) -> TarEntry {
        TarEntry(path: Array(LayoutNames.path(digest).utf8), kind: .file, size: size)
    }

    private func write(_ name: String, _ bytes: [UInt8]) throws {
        try writer.write(TarEntry(path: Array(name.utf8), kind: .file), content: bytes)
    }
}

/// The content of the entry that a writer has just begun.
private final class EntrySink: ByteSink {
    private let writer: TarWriter

    init(_ writer: TarWriter) { self.writer = writer }

    func write(_ bytes: UnsafeRawBufferPointer) throws { try writer.write(bytes) }
}
