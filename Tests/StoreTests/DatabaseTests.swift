import Blocking
import Linux
import OCI
import Store
import SystemPackage
import Testing

/// A folder that is gone after the body.
func withFolder<T>(_ body: (FilePath) async throws -> T) async throws -> T {
    let path = FilePath("/tmp/skiff-test-\(UInt64.random(in: .min ... .max))")
    try makeDirectories(path)
    do {
        let result = try await body(path)
        try removeTree(path)
        return result
    } catch {
        try removeTree(path)
        throw error
    }
}

private func digest(_ letter: Character) throws -> Digest { try Digest(hex: String(repeating: letter, count: 64)) }

@Suite struct DatabaseTests {
    @Test("a container's name belongs to one container, which may change it")
    func names() async throws {
        try await withFolder { folder in
            let containers = try await Database.open(folder.appending("db")).containers
            try await containers.save(id: "1", name: "web", created: "2026-01-01T00:00:00Z", json: Array("{}".utf8))
            await #expect(throws: StoreError.nameTaken(existingID: "1")) {
                try await containers.save(id: "2", name: "web", created: "2026-01-01T00:00:01Z", json: [])
            }
            try await containers.save(id: "1", name: "old", created: "2026-01-01T00:00:00Z", json: Array("{}".utf8))
            try await containers.save(id: "2", name: "web", created: "2026-01-01T00:00:01Z", json: [])
            #expect(try await containers.all().map(\.name) == ["old", "web"])
            try await containers.delete(id: "1")
            #expect(try await containers.all().map(\.id) == ["2"])
        }
    }

    @Test("what was saved is there when the file is opened again")
    func reopens() async throws {
        try await withFolder { folder in
            let first = try await Database.open(folder.appending("db"))
            try await first.volumes.insert(name: "v", created: "2026-01-01T00:00:00Z", json: Array(#"{"ä":1}"#.utf8))
            await #expect(throws: StoreError.nameTaken(existingID: "v")) {
                try await first.volumes.insert(name: "v", created: "", json: [])
            }
            try await first.close()
            let second = try await Database.open(folder.appending("db"))
            #expect(try await second.volumes.all().first?.json == Array(#"{"ä":1}"#.utf8))
        }
    }

    @Test("an address stands once in a network, and goes with it")
    func addresses() async throws {
        try await withFolder { folder in
            let database = try await Database.open(folder.appending("db"))
            try await database.networks.save(id: "n", name: "bridge", created: "", json: [])
            func endpoint(_ container: String, _ address: String?) -> EndpointRecord {
                EndpointRecord(containerID: container, networkID: "n", ipv4: address, ipv6: nil, mac: nil, json: [])
            }
            try await database.endpoints.save(endpoint("a", "10.0.0.2"))
            try await database.endpoints.save(endpoint("a", "10.0.0.2"))
            await #expect(throws: StoreError.addressTaken("10.0.0.2")) {
                try await database.endpoints.save(endpoint("b", "10.0.0.2"))
            }
            try await database.endpoints.save(endpoint("b", nil))
            #expect(try await database.endpoints.all().count == 2)
            try await database.networks.delete(id: "n")
            #expect(try await database.endpoints.all().isEmpty)
        }
    }

    @Test("a layer is kept while an image or a build step needs it")
    func layerUse() async throws {
        try await withFolder { folder in
            let database = try await Database.open(folder.appending("db"))
            let (one, two, image) = (try digest("1"), try digest("2"), try digest("a"))
            let (layers, images) = (database.layers, database.images)
            try await blocking {
                #expect(throws: StoreError.layerMissing) { try images.save(id: image, layers: [one], references: []) }
                #expect(try images.all().isEmpty)
                try layers.insert(one, size: 5)
                try layers.insert(two, size: 7)
                try images.save(id: image, layers: [one, two, one], references: ["docker.io/library/a:latest"])
                #expect(try images.all().first?.size == 17)
                try images.save(id: image, layers: [one, two, one], references: ["docker.io/library/b:latest"])
                #expect(try images.find(reference: "docker.io/library/a:latest")?.references.count == 2)
            }
            try await database.buildCache.save(key: "k", layer: two, json: Array("{}".utf8))
            let freed = try await blocking {
                try images.delete([image])
                return try layers.deleteUnused(among: nil, except: [])
            }
            #expect(freed == [one])
            #expect(try await database.buildCache.find(key: "k")?.layer == two)
            try await database.buildCache.delete(keys: ["k"])
            #expect(try await blocking { try layers.deleteUnused(among: nil, except: [two]) }.isEmpty)
            #expect(try await blocking { try layers.deleteUnused(among: nil, except: []) } == [two])
        }
    }
}

@Suite struct BlobStoreTests {
    @Test("a blob comes back as it was, and damage is noticed")
    func roundTrip() async throws {
        try await withFolder { folder in
            let blobs = try BlobStore(root: folder.appending("blobs"), temporary: folder)
            let digest = try blobs.write(Array("hello".utf8))
            #expect(digest.hex == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
            #expect(try blobs.read(digest, limit: 100) == Array("hello".utf8))
            #expect(try blobs.all() == [digest])
            try writeAtomically(Array("other".utf8), to: folder.appending("blobs/sha256/\(digest.hex)"), sync: false)
            #expect(throws: StoreError.self) { try blobs.read(digest, limit: 100) }
            try blobs.delete(digest)
            try blobs.delete(digest)
            #expect(throws: StoreError.missing("blob \(digest)")) { try blobs.read(digest, limit: 100) }
        }
    }
}
