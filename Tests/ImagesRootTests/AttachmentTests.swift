import Archive
import FoundationEssentials
import Linux
import OCI
import Store
import SystemPackage
import Testing

@testable import Images

@Suite("What goes with an image", .enabled(if: isRoot())) struct AttachmentTests {
    private func attachments() -> ImageAttachments {
        var attachments = ImageAttachments()
        attachments.manifest = ["a": "in the manifest"]
        attachments.manifestDescriptor = ["b": "beside it"]
        attachments.index = ["c": "in the index"]
        attachments.indexDescriptor = ["d": "beside that"]
        attachments.attestations = [.init(predicateType: "https://x/type", predicate: #"{"k":1}"#)]
        return attachments
    }

    private func add(_ store: TestStore, _ names: [String], _ attachments: ImageAttachments?) async throws -> Image {
        let layer = try await store.layer([file("a")], contents: ["a": "1"])
        let config = try encodeDocument(ImageConfig(rootfs: .init(diffIDs: [layer])))
        return try await store.images.createOrFind(
            configBytes: config, references: names.map { try Reference($0) }, attachments: attachments
        ).image
    }

    /// The documents of an archive, by entry.
    private func documents(_ archive: [UInt8]) throws -> [String: [UInt8]] {
        let reader = TarReader(MemorySource(archive))
        var found: [String: [UInt8]] = [:]
        while let entry = try reader.next() {
            var bytes = [UInt8](repeating: 0, count: Int(entry.size))
            var count = 0
            while count < bytes.count {
                count += try bytes.withUnsafeMutableBytes { try reader.read(into: UnsafeMutableRawBufferPointer(rebasing: $0[count...])) }
            }
            found[entry.displayPath] = bytes
        }
        return found
    }

    @Test("an archive has an index with the manifest and the statements about it, always the same")
    func archive() async throws {
        try await TestStore.with { store in
            let image = try await add(store, ["one:1"], attachments())
            let saved = try await store.saved("one:1")
            #expect(try await store.saved("one:1") == saved)
            let files = try documents(saved)
            func read<T: Decodable>(_ type: T.Type, _ descriptor: Descriptor) throws -> T {
                try JSONDecoder().decode(type, from: Data(files[LayoutNames.path(descriptor.digest)] ?? []))
            }
            let entry = try JSONDecoder().decode(Index.self, from: Data(files["index.json"] ?? [])).manifests[0]
            #expect(entry.mediaType == MediaType.index && entry.annotations?["d"] == "beside that")
            #expect(entry.annotations?["io.containerd.image.name"] == "docker.io/library/one:1")
            let index = try read(Index.self, entry)
            #expect(index.annotations == ["c": "in the index"] && index.manifests.count == 2)
            #expect(index.manifests[0].annotations == ["b": "beside it"] && index.manifests[0].platform == .host)
            #expect(
                index.manifests[1].annotations == [
                    "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": "\(index.manifests[0].digest)",
                ])
            #expect(index.manifests[1].platform == Platform(architecture: "unknown", os: "unknown"))
            let manifest = try read(Manifest.self, index.manifests[0])
            #expect(manifest.config.digest == image.id && manifest.annotations == ["a": "in the manifest"])
            let about = try read(Manifest.self, index.manifests[1])
            #expect(about.layers[0].mediaType == "application/vnd.in-toto+json")
            #expect(about.layers[0].annotations == ["in-toto.io/predicate-type": "https://x/type"])
            #expect(try read(ImageConfig.self, about.config).rootfs.diffIDs == about.layers.map(\.digest))
            let statement = try JSONValue.parse(files[LayoutNames.path(about.layers[0].digest)] ?? [])
            #expect(statement["predicate"] == ["k": 1] && statement["predicateType"]?.string == "https://x/type")
            let subject = statement["subject"]?.array?.first
            #expect(subject?["name"]?.string == "pkg:docker/one@1?platform=linux%2F\(Platform.host.architecture)")
            #expect(subject?["digest"]?["sha256"]?.string == index.manifests[0].digest.hex)
            #expect(try await store.images.descriptor("one:1")?.digest == entry.digest)
            try await TestStore.with { other in
                let loaded = try await other.images.load(from: other.input(saved))
                #expect(loaded.map(\.image.id) == [image.id])
                #expect(try await other.images.attachments("one:1") == attachments())
                #expect(try await other.saved("one:1") == saved)
            }
        }
    }

    @Test("annotations alone need no index")
    func annotationsOnly() async throws {
        try await TestStore.with { store in
            var only = ImageAttachments()
            only.manifest = ["a": "b"]
            _ = try await add(store, ["one:1"], only)
            let files = try documents(try await store.saved("one:1"))
            let entry = try JSONDecoder().decode(Index.self, from: Data(files["index.json"] ?? [])).manifests[0]
            let manifest = try JSONDecoder().decode(Manifest.self, from: Data(files[LayoutNames.path(entry.digest)] ?? []))
            #expect(entry.mediaType == MediaType.manifest && manifest.annotations == ["a": "b"])
        }
    }

    @Test("what goes with an image belongs to a name, and goes away with the last one")
    func names() async throws {
        try await TestStore.with { store in
            let image = try await add(store, ["one:1"], attachments())
            _ = try await add(store, ["two"], nil)
            try await store.images.tag("one:1", Reference("three"))
            #expect(try await store.images.attachments("one:1") == attachments())
            #expect(try await store.images.attachments("three") == attachments())
            // By its id it is what the last build has made.
            #expect(try await store.images.attachments("two") == nil)
            #expect(try await store.images.attachments("\(image.id)") == nil)
            #expect(try await store.images.list().count == 1)
            let all = try await store.saved("one:1", "two", "three")
            try await TestStore.with { other in
                _ = try await other.images.load(from: other.input(all))
                #expect(try await other.images.attachments("three") == attachments())
                #expect(try await other.images.attachments("two") == nil)
                #expect(try await other.saved("one:1", "two", "three") == all)
            }
            let groups = try documents(all)
            #expect(try JSONDecoder().decode(Index.self, from: Data(groups["index.json"] ?? [])).manifests.count == 3)
            #expect(try JSONValue.parse(groups["manifest.json"] ?? []).array?.count == 2)

            let kept = { try store.images.records.attachments(Digest.sha256(of: try self.attachments().document() ?? [])) != nil }
            _ = try await store.images.remove("one:1", force: false, noPrune: false) { _ in [] }
            #expect(try kept())
            try await store.images.tag("two", Reference("three"))
            #expect(try !kept())
            _ = try await add(store, ["two"], attachments())
            #expect(try kept())
            _ = try await store.images.prune(all: true) { _ in [] }
            #expect(try !kept())
        }
    }
}
