import Archive
import Images
import Linux
import OCI
import Store
import SystemPackage
import Testing

@Suite(.enabled(if: isRoot())) struct LayerTests {
    @Test("layers lie over each other, and white-outs hide what is below")
    func stack() async throws {
        try await TestStore.with { store in
            let base = try await store.layer(
                [folder("d/"), file("d/a"), file("d/b"), folder("o/"), file("o/x"), file("keep")],
                contents: ["d/a": "1", "d/b": "2", "o/x": "3", "keep": "4"])
            let top = try await store.layer(
                [folder("d/"), file("d/.wh.a"), file("d/b"), folder("o/"), file("o/.wh..wh..opq"), file("o/y")],
                contents: ["d/b": "new", "o/y": "5"])
            let mount = try store.layers.mount(layers: [base, top], upper: nil, work: nil)
            #expect(try content("d/a", in: mount) == nil)
            #expect(try content("d/b", in: mount) == "new")
            #expect(try content("o/x", in: mount) == nil)
            #expect(try content("o/y", in: mount) == "5")
            #expect(try content("keep", in: mount) == "4")
            let single = try store.layers.mount(layers: [base], upper: nil, work: nil)
            #expect(try content("d/a", in: single) == "1")
            #expect(throws: SystemError.self) {
                _ = try PathInRoot.open("new", root: single, flags: [.writeOnly, .create], mode: 0o600)
            }
        }
    }

    @Test("a container's changes become a layer, whose tar has white-outs again, and docker diff tells them")
    func commit() async throws {
        try await TestStore.with { store in
            let base = try await store.layer(
                [folder("d/"), file("d/gone"), file("d/changed"), file("same")],
                contents: ["d/gone": "1", "d/changed": "2", "same": "3"])
            let (upper, work) = (store.root.appending("upper"), store.root.appending("work"))
            try makeDirectories(upper, mode: 0o755)
            try makeDirectories(work)
            do {
                let mount = try store.layers.mount(layers: [base], upper: upper, work: work)
                let folder = try PathInRoot.open("d", root: mount, flags: [.readOnly, .directory])
                try unlinkat(folder, "gone")
                let changed = try openat(folder, "changed", [.writeOnly, .truncate])
                try changed.writeAll(Array("other".utf8))
                let added = try openat(folder, "added", [.writeOnly, .create])
                try added.writeAll(Array("new".utf8))
            }
            let changes = try await store.layers.changes(upper: upper, layers: [base])
            #expect(changes.map { "\($0.kind.rawValue) \($0.path)" } == ["0 /d", "1 /d/added", "0 /d/changed", "2 /d/gone"])

            let copied = try await store.layers.commit(copyOf: upper)
            let moved = try await store.layers.commit(directory: upper)
            #expect(copied == moved)
            #expect(try lstatIfExists(upper) == nil)
            let mount = try store.layers.mount(layers: [base, moved], upper: nil, work: nil)
            #expect(try content("d/gone", in: mount) == nil)
            #expect(try content("d/changed", in: mount) == "other")
            #expect(try content("d/added", in: mount) == "new")

            let output = store.root.appending("layer.tar")
            try await store.layers.tar(moved, to: SharedFD(try OwnedFD.open(output, [.writeOnly, .create])))
            let bytes = try OwnedFD.open(output, .readOnly).readAll(limit: 1 << 20)
            #expect(Digest.sha256(of: bytes) == moved)
            let reader = TarReader(MemorySource(bytes))
            var names: [String] = []
            while let entry = try reader.next() { names.append(entry.displayPath) }
            #expect(names == ["d/", "d/added", "d/changed", "d/.wh.gone"])
        }
    }

    @Test("owners, setuid modes, capabilities and devices arrive exactly")
    func metadata() async throws {
        try await TestStore.with { store in
            let capability: [UInt8] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            let layer = try await store.layer([
                TarEntry(path: Array("suid".utf8), kind: .file, mode: 0o6755, uid: 12, gid: 34, modified: .init(seconds: 77)),
                TarEntry(
                    path: Array("cap".utf8), kind: .file, mode: 0o755, uid: 5,
                    attributes: [
                        .init(name: "security.capability", value: capability), .init(name: "trusted.overlay.redirect", value: [47]),
                    ]),
                TarEntry(path: Array("null".utf8), kind: .characterDevice, mode: 0o666, deviceMajor: 1, deviceMinor: 3),
                TarEntry(path: Array("l".utf8), kind: .symbolicLink, mode: 0o777, uid: 9, linkTarget: Array("suid".utf8)),
            ])
            let root = try OwnedFD.open(store.layers.path(layer), [.readOnly, .directory])
            let suid = try fstatat(root, "suid")
            #expect(suid.permissions == 0o6755)
            #expect((suid.uid, suid.gid) == (12, 34))
            #expect(suid.modified.seconds == 77)
            let attributes = try xattrsat(root, "cap")
            #expect(attributes.map(\.name) == ["security.capability"])
            #expect(attributes.first?.value == capability)
            let null = try fstatat(root, "null")
            #expect((null.deviceMajor, null.deviceMinor, null.permissions) == (1, 3, 0o666))
            #expect(try fstatat(root, "l").uid == 9)
            #expect(try fstatat(root, "suid").uid == 12)
        }
    }

    @Test("a tar that says things twice still comes back byte for byte")
    func replacedContents() async throws {
        try await TestStore.with { store in
            let sink = MemorySink()
            let writer = TarWriter(sink)
            for (path, text) in [("a", "first"), ("d/x", "in a folder"), ("a", "second")] {
                try writer.write(file(path), content: Array(text.utf8))
            }
            try writer.begin(TarEntry(path: Array("d".utf8), kind: .symbolicLink, linkTarget: Array("a".utf8)))
            try writer.finish()
            let bytes = sink.bytes + [UInt8](repeating: 0, count: 4096)
            let layer = try await store.layers.unpack(from: store.input(bytes), expected: Digest.sha256(of: bytes))
            let output = store.root.appending("layer.tar")
            try await store.layers.tar(layer, to: SharedFD(try OwnedFD.open(output, [.writeOnly, .create])))
            #expect(try OwnedFD.open(output, .readOnly).readAll(limit: 1 << 20) == bytes)
        }
    }

    @Test("a layer that is not what was expected, or breaks off, leaves nothing")
    func failedUnpack() async throws {
        try await TestStore.with { store in
            let bytes = try tar([file("a")], ["a": String(repeating: "x", count: 5000)])
            await #expect(throws: ImageError.self) {
                try await store.layers.unpack(from: store.input(bytes), expected: Digest.sha256(of: [1]))
            }
            await #expect(throws: (any Error).self) { try await store.layers.unpack(from: store.input(Array(bytes.prefix(3000)))) }
            #expect(try store.leftovers().layers == ["empty"])
            #expect(try store.leftovers().temporary.isEmpty)
        }
    }

    @Test("what a killed engine left half done is gone after the next start, and nothing else")
    func sweep() async throws {
        try await TestStore.with { store in
            let kept = try await store.layer([file("a")], contents: ["a": "1"])
            _ = try await store.image("kept", layers: [kept])
            let orphan = try await store.layer([file("b")], contents: ["b": "2"])
            try makeDirectories(store.root.appending("layers/\(String(repeating: "e", count: 64))/diff"))
            try makeDirectories(store.root.appending("layers/not-ours"))
            try makeDirectories(store.root.appending("tmp/layer-x/diff"))
            try writeAtomically([1], to: store.root.appending("blobs/sha256/\(String(repeating: "f", count: 64))"), sync: false)

            let again = try await TestStore.open(store.root)
            #expect(try again.leftovers().layers == ["empty", "not-ours", kept.hex])
            #expect(try again.leftovers().temporary.isEmpty)
            #expect(try await again.layers.size(kept) == 1)
            #expect(try await again.layers.size(orphan) == nil)
            #expect(try await again.images.list().map(\.references.count) == [1])
            #expect(try lstatIfExists(store.root.appending("blobs/sha256/\(String(repeating: "f", count: 64))")) == nil)
        }
    }
}

func isRoot() -> Bool {
    // Only root owns what it makes.
    (try? lstatIfExists("/proc/self"))??.uid == 0
}
