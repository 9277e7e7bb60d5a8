import Archive
import Blocking
import Images
import Linux
import OCI
import Store
import SystemPackage
import Testing

@Suite(.enabled(if: isRoot())) struct StoreCheckTests {
    /// A store with an image of two layers.
    private func withImage(_ body: (TestStore, Image) async throws -> Void) async throws {
        try await TestStore.with { store in
            let base = try await store.layer([folder("d/"), file("d/a"), file("d/empty")], contents: ["d/a": String(repeating: "a", count: 5000)])
            let top = try await store.layer([file("b"), file("b")], contents: ["b": "bbb"])
            try await body(store, try await store.image("whole", layers: [base, top]))
        }
    }

    private func directory(_ store: TestStore, _ layer: Digest) -> FilePath { store.root.appending("layers").appending(layer.hex) }

    private func overwrite(_ path: FilePath, _ change: (inout [UInt8]) -> Void) throws {
        var bytes = try OwnedFD.open(path, .readOnly).readAll(limit: 1 << 20)
        change(&bytes)
        try OwnedFD.open(path, [.writeOnly, .truncate]).writeAll(bytes)
    }

    private func asideNames(_ store: TestStore) throws -> [String] {
        guard try lstatIfExists(store.root.appending("damaged")) != nil else { return [] }
        let directory = try OwnedFD.open(store.root.appending("damaged"), [.readOnly, .directory])
        return try namesInDirectory(directory).map(\.description)
    }

    @Test("a store that is whole has no defects, before and after its images were used")
    func whole() async throws {
        try await withImage { store, image in
            let report = try await store.images.check(repairs: true)
            #expect(report.defects.isEmpty)
            #expect(report.layers == 2)
            #expect(report.images == 1)
            #expect(report.bytes > 5000)
            #expect(try await store.images.image("whole") == image)
        }
    }

    enum Damage: CaseIterable {
        case flippedBit, truncatedFile, missingFile, damagedFrame, truncatedFrame, missingFrame, missingReplaced
    }

    @Test("a damaged layer is named, stays usable, and is whole again when it comes anew", arguments: Damage.allCases)
    func damagedLayer(_ damage: Damage) async throws {
        try await withImage { store, image in
            let saved = try await store.saved("whole")
            let (base, top) = (directory(store, image.layers[0]), directory(store, image.layers[1]))
            switch damage {
            case .flippedBit: try overwrite(base.appending("diff/d/a")) { $0[777] ^= 1 }
            case .truncatedFile: try overwrite(base.appending("diff/d/a")) { $0.removeLast(9) }
            case .missingFile: try unlink(base.appending("diff/d/a"))
            case .damagedFrame: try overwrite(base.appending("frame")) { $0[$0.count / 2] ^= 0x10 }
            case .truncatedFrame: try overwrite(base.appending("frame")) { $0.removeLast(5) }
            case .missingFrame: try unlink(base.appending("frame"))
            case .missingReplaced: try removeTree(top.appending("replaced"))
            }
            let layer = damage == .missingReplaced ? image.layers[1] : image.layers[0]
            let found = try await store.images.check(repairs: false)
            #expect(found.defects.map(\.kind) == [.layerDamaged])
            #expect(found.defects.first?.subject == "\(layer)")
            #expect(found.defects.first?.problem.contains("whole") == true)
            // Looking alone changes nothing.
            #expect(try await store.images.check(repairs: false) == found)

            let repaired = try await store.images.check(repairs: true)
            #expect(repaired.defects.first?.isRepaired == false)
            #expect(try await !store.layers.exists(layer))
            _ = try store.layers.mount(layers: image.layers, upper: nil, work: nil)

            _ = try await store.images.load(from: store.input(saved))
            #expect(try await store.images.check(repairs: true).defects.isEmpty)
            #expect(try await store.saved("whole") == saved)
            #expect(try asideNames(store).isEmpty)
        }
    }

    @Test("a layer without files is named and comes anew, one without a row gets it back")
    func rowsAndFiles() async throws {
        try await withImage { store, image in
            let saved = try await store.saved("whole")
            try removeTree(directory(store, image.layers[1]))
            let whole = try await store.layer([file("lonely")], contents: ["lonely": "1"])
            let orphan = directory(store, whole)
            let copy = store.root.appending("copy")
            try rename(orphan, to: copy)
            try await store.layers.removeUnused()
            try rename(copy, to: orphan)

            let report = try await store.images.check(repairs: true)
            #expect(Set(report.defects.map(\.kind)) == [.layerMissing, .layerUnknown])
            #expect(try await store.layers.exists(whole))
            _ = try await store.images.load(from: store.input(saved))
            #expect(try await store.images.check(repairs: false).defects.isEmpty)
        }
    }

    @Test("what cannot be read is set aside, what has a foreign name stays")
    func unknownFiles() async throws {
        try await withImage { store, _ in
            let name = String(repeating: "ab", count: 32)
            try makeDirectories(store.root.appending("layers").appending(name).appending("diff"))
            try makeDirectories(store.root.appending("layers/lost+found"))
            try writeAtomically(Array("junk".utf8), to: store.root.appending("blobs/sha256").appending(name), sync: false)
            let report = try await store.images.check(repairs: true)
            #expect(Set(report.defects.map(\.kind)) == [.layerUnknown, .fileUnknown, .blobUnknown])
            #expect(try asideNames(store).count == 2)
            #expect(try await store.images.check(repairs: true).defects.map(\.kind) == [.fileUnknown])
            #expect(try lstatIfExists(store.root.appending("layers/lost+found")) != nil)
        }
    }

    @Test("a damaged or missing configuration is named, and comes back with the image", arguments: [true, false])
    func configuration(_ isMissing: Bool) async throws {
        try await withImage { store, image in
            let saved = try await store.saved("whole")
            let blob = store.root.appending("blobs/sha256").appending(image.id.hex)
            if isMissing { try unlink(blob) } else { try overwrite(blob) { $0[3] ^= 1 } }
            let report = try await store.images.check(repairs: true)
            #expect(report.defects.map(\.kind) == [isMissing ? .configMissing : .configDamaged])
            #expect(report.defects.first?.subject.contains("whole:latest") == true)
            #expect(try asideNames(store).count == (isMissing ? 0 : 1))
            _ = try await store.images.load(from: store.input(saved))
            #expect(try await store.images.check(repairs: true).defects.isEmpty)
        }
    }

    @Test("a wrong size is corrected")
    func size() async throws {
        try await withImage { store, image in
            let database = try await Database.open(store.root.appending("skiff.db"))
            try await blocking { try database.layers.set(size: 1, of: image.layers[0]) }
            #expect(try await store.images.check(repairs: true).defects.map(\.kind) == [.layerSize])
            #expect(try await store.layers.size(image.layers[0]) == 5000)
            #expect(try await store.images.check(repairs: true).defects.isEmpty)
            try await database.close()
        }
    }
}
