import Archive
import FoundationEssentials
import Images
import Linux
import OCI
import Store
import SystemPackage
import Testing

@Suite(.enabled(if: isRoot())) struct ImageStoreTests {
    @Test("an image is found by its names, its id and the beginning of that")
    func find() async throws {
        try await TestStore.with { store in
            let layer = try await store.layer([file("a")])
            let image = try await store.image("me/app:1", layers: [layer])
            try await store.images.tag("\(image.id)", Reference("other"))
            for name in ["me/app:1", "docker.io/me/app:1", "other", "other:latest", "\(image.id)", image.id.hex, image.id.short, "other@\(image.id)"]
            {
                #expect(try await store.images.image(name).id == image.id, "\(name)")
            }
            #expect(try await store.images.image("other").references.map(\.familiarString) == ["other:latest", "me/app:1"])
            await #expect(throws: ImageError.notFound("nothing:latest")) { try await store.images.image("nothing") }
            await #expect(throws: ImageError.self) { try await store.images.image("../../etc") }
        }
    }

    @Test("what is saved and loaded elsewhere has the same ids and the same files")
    func saveAndLoad() async throws {
        try await TestStore.with { store in
            let base = try await store.layer([folder("d/"), file("d/a")], contents: ["d/a": "1"])
            let top = try await store.layers.commit(directory: store.upper(["b": "2"]))
            let one = try await store.image("one", layers: [base, top])
            let two = try await store.image("two:x", layers: [base])
            let bytes = try await store.saved("one", "two:x")
            #expect(try await store.saved("one", "two:x") == bytes)

            for packed in [bytes, try packed(bytes)] {
                try await TestStore.with { other in
                    let loaded = try await other.images.load(from: other.input(packed))
                    #expect(loaded.map(\.image.id) == [one.id, two.id])
                    #expect(loaded.map(\.message) == ["Loaded image: one:latest", "Loaded image: two:x"])
                    #expect(try other.leftovers().layers == ["empty", base.hex, top.hex])
                    #expect(try other.leftovers().temporary.isEmpty)
                    let mount = try other.layers.mount(layers: [base, top], upper: nil, work: nil)
                    #expect(try content("d/a", in: mount) == "1")
                    #expect(try content("b", in: mount) == "2")
                    #expect(try await other.saved("one", "two:x") == bytes)
                }
            }
        }
    }

    @Test("layers that are packed are unpacked, from a layout without Docker's manifest", arguments: [Compression.gzip, .zstd])
    func packedLayout(_ compression: Compression) async throws {
        try await TestStore.with { store in
            let plain = try tar([file("a")], ["a": "1"])
            let layout = try Layout(layer: plain, compression: compression, name: "docker.io/library/packed:1")
            let loaded = try await store.images.load(from: store.input(layout.archive()))
            #expect(loaded.first?.image.layers == [Digest.sha256(of: plain)])
            #expect(loaded.first?.references.map(\.familiarString) == ["packed:1"])
        }
    }

    @Test("an archive that does not fit together is refused, and nothing of it stays", arguments: Layout.Lie.allCases)
    func refuses(_ lie: Layout.Lie) async throws {
        try await TestStore.with { store in
            var layout = try Layout(layer: tar([file("a")], ["a": "1"]), compression: .gzip, name: "bad")
            layout.lie = lie
            let bytes = try layout.archive()
            await #expect(throws: (any Error).self) { try await store.images.load(from: store.input(bytes)) }
            #expect(try await store.images.list().isEmpty)
            #expect(try store.leftovers().temporary.isEmpty)
        }
    }

    @Test("removing the last image with a layer gives its space back; shared layers and used images stay")
    func remove() async throws {
        try await TestStore.with { store in
            let base = try await store.layer([file("a")], contents: ["a": "1"])
            let top = try await store.layer([file("b")], contents: ["b": "2"])
            let one = try await store.image("one", layers: [base])
            let two = try await store.image("two", layers: [base, top])
            try await store.images.tag("\(two.id)", Reference("three"))
            let free: @Sendable (Digest) async -> [String] = { _ in [] }

            await #expect(throws: ImageError.self) {
                try await store.images.remove(two.id.short, force: false, noPrune: false, usedBy: free)
            }
            #expect(
                try await store.images.remove("three", force: false, noPrune: false, usedBy: free).items
                    == [.untagged("three:latest")])
            await #expect(throws: ImageError.self) {
                try await store.images.remove("two", force: false, noPrune: false) { _ in ["c0ffee"] }
            }
            #expect(
                try await store.images.remove("two", force: true, noPrune: false) { _ in ["c0ffee"] }.items
                    == [.untagged("two:latest")])
            #expect(try await store.images.prune(all: false) { _ in ["c0ffee"] }.items.isEmpty)
            let pruned = try await store.images.prune(all: false, usedBy: free)
            #expect(pruned.items == [.deleted("\(two.id)"), .deleted("\(top)")])
            #expect(pruned.bytes >= 8192)
            #expect(try store.leftovers().layers == ["empty", base.hex])
            let gone = try await store.images.remove("one", force: false, noPrune: false, usedBy: free).items
            #expect(gone == [.untagged("one:latest"), .deleted("\(one.id)"), .deleted("\(base)")])
            #expect(try store.leftovers().layers == ["empty"])
            #expect(try store.leftovers().temporary.isEmpty)
        }
    }

    @Test("a layer that somebody works with is not removed under him")
    func holding() async throws {
        try await TestStore.with { store in
            let layer = try await store.layer([file("a")])
            let image = try await store.image("a", layers: [layer])
            try await store.layers.holding([layer]) {
                _ = try await store.images.remove("a", force: false, noPrune: false) { _ in [] }
                #expect(try await store.layers.exists(layer))
                #expect(try await store.image("b", layers: [layer]).id == image.id)
            }
        }
    }

    @Test("a root file system's tar becomes an image, and an exported one is its tar again")
    func importAndExport() async throws {
        try await TestStore.with { store in
            let bytes = try tar([folder("bin/"), file("bin/sh")], ["bin/sh": "x"])
            let image = try await store.images.importRootfs(
                from: store.input(bytes), reference: Reference("imported"), changes: [#"CMD ["/bin/sh"]"#], message: "hello")
            #expect(image.config.config?.cmd == ["/bin/sh"])
            #expect(image.config.history?.first?.comment == "hello")
            let output = store.root.appending("out.tar")
            try await store.images.export(
                rootfs: try store.layers.mount(layers: image.layers, upper: nil, work: nil),
                to: SharedFD(try OwnedFD.open(output, [.writeOnly, .create])))
            #expect(try OwnedFD.open(output, .readOnly).readAll(limit: 1 << 20) == bytes)
        }
    }

    private func packed(_ bytes: [UInt8]) throws -> [UInt8] {
        let sink = MemorySink()
        let gzip = try GzipSink(sink)
        try bytes.withUnsafeBytes { try gzip.write($0) }
        try gzip.finish()
        return sink.bytes
    }
}
