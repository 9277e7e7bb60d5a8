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
            // By its id it has what came last: a build that says nothing takes nothing away.
            #expect(try await store.images.attachments("two") == nil)
            #expect(try await store.images.attachments("\(image.id)") == attachments())
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
            #expect(try await store.images.attachments("three") == nil)
            // By its id the image still has it.
            #expect(try kept())
            var others = attachments()
            others.manifest = ["other": "x"]
            _ = try await add(store, ["two"], others)
            #expect(try !kept())
            _ = try await add(store, ["two"], attachments())
            #expect(try kept())
            _ = try await store.images.prune(all: true) { _ in [] }
            #expect(try !kept())
        }
    }

    @Test("statements are read within bounds, whatever sizes a manifest states, and the others stay")
    func bounds() throws {
        func layer(_ size: Int64) -> Descriptor { Descriptor(mediaType: MediaType.inToto, digest: Digest.sha256(of: [1]), size: size) }
        func manifest(_ sizes: [Int64]) -> Manifest {
            Manifest(config: Descriptor(mediaType: MediaType.config, digest: Digest.sha256(of: [2]), size: 1), layers: sizes.map(layer))
        }
        var budget = StatementBudget()
        #expect(budget.statements(of: manifest([1, .max, 2, .max, .min, -1, 16 << 20])).map(\.size) == [1, 2, 16 << 20])
        #expect(budget.skipped == 4)
        #expect(budget.statements(of: manifest([16 << 20, 3])).map(\.size) == [3] && budget.skipped == 5)
        #expect(budget.statements(of: manifest([Int64](repeating: 0, count: 1000))).count == 16 && budget.skipped == 5 + 984)

        let image = Digest.sha256(of: [3])
        var about = layer(1)
        about.annotations = ["vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": "\(image)"]
        #expect(Index(manifests: [Descriptor](repeating: about, count: 30_000)).attestations(of: image).count == 16)

        func statement(_ count: Int) -> [UInt8] {
            Array(#"{"predicateType":"t","predicate":"\#(String(repeating: "x", count: count))"}"#.utf8)
        }
        #expect(try budget.attestation(statement(9))?.predicate.utf8.count == 11)
        #expect(throws: ImageError.self) { try budget.attestation(Array("{}".utf8)) }
        var large = ImageAttachments()
        large.attestations = [.init(predicateType: "t", predicate: String(repeating: "x", count: Limits.predicateBytes))]
        #expect(try large.document() != nil)
        large.attestations[0].predicate += "x"
        #expect(throws: ImageError.self) { try large.document() }
    }

    /// An archive of one image, about which the index names one manifest of statements so many times.
    private func archive(layer: Digest, times: Int, statements: [[UInt8]]) throws -> [(name: String, content: [UInt8])] {
        var files: [(name: String, content: [UInt8])] = []
        func add(_ bytes: [UInt8], _ type: String, annotations: [String: String]? = nil) -> Descriptor {
            let digest = Digest.sha256(of: bytes)
            if !files.contains(where: { $0.name == LayoutNames.path(digest) }) { files.append((LayoutNames.path(digest), bytes)) }
            return Descriptor(mediaType: type, digest: digest, size: Int64(bytes.count), annotations: annotations)
        }
        let tar = try tar([file("a")], ["a": "1"])
        let about = statements.map { add($0, MediaType.inToto) }
        let config = add(try encodeDocument(ImageConfig(rootfs: .init(diffIDs: [layer]))), MediaType.config)
        var image = add(try encodeDocument(Manifest(config: config, layers: [add(tar, MediaType.layer)])), MediaType.manifest)
        image.platform = .host
        var list = add(
            try encodeDocument(Manifest(config: config, layers: about)), MediaType.manifest,
            annotations: ["vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": "\(image.digest)"])
        list.platform = Platform(architecture: "unknown", os: "unknown")
        let index = add(try encodeDocument(Index(manifests: [image] + [Descriptor](repeating: list, count: times))), MediaType.index)
        var top = index
        top.annotations = [
            LayoutNames.imageName: "docker.io/library/one:1", "containerd.io/distribution.source.docker.io": "library/one", "kept": "yes",
        ]
        return files + [("index.json", try encodeDocument(Index(manifests: [top])))]
    }

    private func packed(_ files: [(name: String, content: [UInt8])]) throws -> [UInt8] {
        let sink = MemorySink()
        let writer = TarWriter(sink)
        for (name, content) in files { try writer.write(TarEntry(path: Array(name.utf8), kind: .file), content: content) }
        try writer.finish()
        return sink.bytes
    }

    @Test("files of statements have names of their own")
    func fileNames() {
        let types = ["https://x", "https://y", "https://spdx.dev/Document", "https://spdx.dev/Document", "https://z"]
        let attestations = types.map { ImageAttachments.Attestation(predicateType: $0, predicate: "{}") }
        #expect(
            ImageAttachments.Attestation.fileNames(attestations)
                == ["attestation.json", "attestation-2.json", "sbom.spdx.json", "sbom-2.spdx.json", "attestation-3.json"])
    }

    @Test("an archive that names statements again and again is loaded with a few of them, and without what is its own")
    func repeated() async throws {
        try await TestStore.with { store in
            let layer = try await store.layer([file("a")], contents: ["a": "1"])
            let small = Array(#"{"predicateType":"t","predicate":{"k":1}}"#.utf8)
            let files = try archive(layer: layer, times: 1000, statements: [[UInt8]](repeating: small, count: 40))
            _ = try await store.images.load(from: store.input(packed(files)))
            let found = try await store.images.attachments("one:1")
            #expect(found?.attestations.count == 256)
            #expect(found?.indexDescriptor == ["kept": "yes"])
        }
    }

    @Test("an archive with too many documents is loaded without the large ones")
    func manyDocuments() async throws {
        try await TestStore.with { store in
            let layer = try await store.layer([file("a")], contents: ["a": "1"])
            let statements = (0..<9).map { Array(#"{"predicateType":"\#($0)","predicate":"\#(String(repeating: "x", count: 16_000))"}"#.utf8) }
            let files = try archive(layer: layer, times: 1, statements: statements)
            let parts = ArchiveParts(store.layers, documentBytes: 128 << 10)
            defer { parts.discard() }
            try parts.read(TarReader(MemorySource(packed(files))))
            let images = try parts.images(for: nil)
            let (found, skipped) = try parts.attachments(of: try #require(images.first))
            #expect(found?.attestations.map(\.predicateType) == ["0", "1", "2", "3", "4", "5"] && skipped == 3)
        }
    }
}
