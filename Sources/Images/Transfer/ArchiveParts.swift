import Archive
import Linux
import OCI
import Store
import SystemPackage

/// What an image archive holds, by entry. Layers are unpacked as they pass by, for the documents that say what they are
/// come in any order; what turns out not to be wanted is thrown away.
final class ArchiveParts {
    private enum Part {
        case document([UInt8])
        case layer(UnpackedLayer, blob: Digest, blobSize: Int64)
        /// A layer that is in the store already; its bytes were only compared.
        case knownLayer(Digest, blobSize: Int64)
        /// Of no use; why, in case that a document names it.
        case unusable(String)
    }

    private let layers: LayerStore
    private var parts: [String: Part] = [:]
    private var links: [String: String] = [:]
    /// Layers of this archive that must not go away before their image is there.
    private var held: [Digest] = []
    private let mostBytes: Int
    private var documentBytes = 0

    /// - Parameter documentBytes: what all documents may have together
    init(_ layers: LayerStore, documentBytes: Int = Limits.archiveDocumentBytes) {
        self.layers = layers
        mostBytes = documentBytes
    }

    /// Removes the unpacked layers that were not published, and lets go of the others.
    func discard() {
        for case .layer(let layer, _, _) in parts.values { layers.discard(layer.place) }
        layers.release(held)
        held = []
    }

    func read(_ reader: TarReader) throws {
        while let entry = try reader.next() {
            let path = try Self.cleaned(entry.path)
            switch entry.kind {
            case .file:
                guard parts[path] == nil else { throw ImageError.invalid("the archive has \(path) twice") }
                parts[path] = try part(path, entry.size, BufferedSource(EntryContent(reader)))
            case .symbolicLink:
                // Old archives have one layer in several places, relative to the place of the link.
                let folder = path.split(separator: "/").dropLast().joined(separator: "/")
                links[path] = try Self.cleaned(Array("\(folder)/".utf8) + entry.linkTarget)
            case .hardLink: links[path] = try Self.cleaned(entry.linkTarget)
            default: continue
            }
        }
    }

    // MARK: What documents name

    /// A document by its entry; when the entry is named by a digest, the content has it.
    func document(_ path: String) throws -> [UInt8] {
        let bytes: [UInt8]
        switch parts[resolved(path)] {
        case .document(let content): bytes = content
        case .unusable(let reason): throw ImageError.invalid("document \(path): \(reason)")
        case .layer, .knownLayer, nil: throw ImageError.invalid("the archive has no document \(path)")
        }
        if let stated = Self.statedDigest(path), Digest.sha256(of: bytes) != stated {
            throw ImageError.invalid("\(path) has another digest")
        }
        return bytes
    }

    func hasDocument(_ path: String) -> Bool {
        if case .document = parts[path] { true } else { false }
    }

    func document(_ descriptor: Descriptor) throws -> [UInt8] {
        let bytes = try document(LayoutNames.path(descriptor.digest))
        guard Int64(bytes.count) == descriptor.size else {
            throw ImageError.invalid("\(descriptor.digest) has \(bytes.count) bytes, not \(descriptor.size)")
        }
        return bytes
    }

    /// Compares a layer with its descriptor.
    func check(_ descriptor: Descriptor) throws {
        let path = LayoutNames.path(descriptor.digest)
        let size: Int64
        switch parts[resolved(path)] {
        case .layer(_, _, let blobSize), .knownLayer(_, let blobSize): size = blobSize
        case .document, nil: throw ImageError.invalid("the archive has no layer \(path)")
        case .unusable(let reason): throw ImageError.invalid("layer \(path): \(reason)")
        }
        guard size == descriptor.size else {
            throw ImageError.invalid("\(descriptor.digest) has \(size) bytes, not \(descriptor.size)")
        }
    }

    /// Moves a layer into the store.
    func publish(_ path: String, expected: Digest) throws {
        let path = resolved(path)
        switch parts[path] {
        case .knownLayer(let diffID, _):
            try Self.compare(diffID, expected, path)
        case .layer(let layer, let blob, let size):
            try Self.compare(layer.diffID, expected, path)
            if let stated = Self.statedDigest(path), stated != blob {
                throw ImageError.invalid("\(path) has the digest \(blob)")
            }
            hold(expected)
            try layers.publish(layer.place, as: layer.diffID, size: layer.size)
            parts[path] = .knownLayer(expected, blobSize: size)
        case .unusable(let reason): throw ImageError.invalid("layer \(path): \(reason)")
        case .document, nil: throw ImageError.invalid("the archive has no layer \(path)")
        }
    }

    // MARK: Reading

    private func part(_ path: String, _ size: Int64, _ content: BufferedSource) throws -> Part {
        let start = try content.peek(512)
        let looksLikeTar = start.count == 512 && (start[257..<262].elementsEqual("ustar".utf8) || start.allSatisfy { $0 == 0 })
        do {
            if Compression(magic: start) != .none { return try packedLayer(content) }
            if looksLikeTar { return try plainLayer(path, size, content) }
        } catch let error as ArchiveError {
            // Perhaps something that is no layer at all; it counts only if a document names it.
            return .unusable("\(error)")
        }
        guard size <= Limits.statementBytes else { return .unusable("neither a layer nor a document") }
        // What is large is a statement. Without it the image is whole, so that it leaves room for what an image needs.
        let most = size > mostBytes / 64 ? mostBytes - mostBytes / 4 : mostBytes
        guard documentBytes + Int(size) <= most else { return .unusable("too many documents") }
        documentBytes += Int(size)
        return .document(try content.readAll(limit: Limits.statementBytes))
    }

    private func packedLayer(_ content: BufferedSource) throws -> Part {
        let blob = HashingSource(content)
        let layer = try layers.unpackNow(decompressing(blob))
        return .layer(layer, blob: try blob.finish(), blobSize: blob.count)
    }

    private func plainLayer(_ path: String, _ size: Int64, _ content: BufferedSource) throws -> Part {
        if let stated = Self.statedDigest(path) {
            hold(stated)
            if try layers.isWhole(stated) {
                guard try HashingSource(content).finish() == stated else {
                    throw ImageError.invalid("\(path) has another digest")
                }
                return .knownLayer(stated, blobSize: size)
            }
        }
        // Its two digests are one.
        let layer = try layers.unpackNow(content)
        return .layer(layer, blob: layer.diffID, blobSize: size)
    }

    private func hold(_ layer: Digest) {
        layers.hold([layer])
        held.append(layer)
    }

    private func resolved(_ path: String) -> String {
        var path = path
        for _ in 0..<8 {
            guard parts[path] == nil, let target = links[path] else { return path }
            path = target
        }
        return path
    }

    private static func compare(_ found: Digest, _ expected: Digest, _ path: String) throws {
        guard found == expected else {
            throw ImageError.invalid("layer \(path) has the diff id \(found), the image says \(expected)")
        }
    }

    /// The digest in `blobs/sha256/<hex>` and in the old `<hex>.json`.
    private static func statedDigest(_ path: String) -> Digest? {
        let parts = path.split(separator: "/")
        if parts.count == 3, parts[0] == "blobs", parts[1] == "sha256" {
            return try? Digest(hex: String(parts[2]))  // Another name states nothing.
        }
        guard parts.count == 1, path.hasSuffix(".json") else { return nil }
        return try? Digest(hex: String(path.dropLast(5)))  // As above.
    }

    private static func cleaned(_ path: [UInt8]) throws -> String {
        var names: [Substring] = []
        let text = String(decoding: path, as: UTF8.self)
        for name in text.split(separator: "/") where name != "." {
            if name != ".." {
                names.append(name)
            } else if names.popLast() == nil {
                throw ImageError.invalid("the archive entry \(text.debugDescription) leaves the archive")
            }
        }
        return names.joined(separator: "/")
    }
}

/// The content of a reader's present entry.
private final class EntryContent: ByteSource {
    private let reader: TarReader

    init(_ reader: TarReader) { self.reader = reader }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int { try reader.read(into: buffer) }
}
