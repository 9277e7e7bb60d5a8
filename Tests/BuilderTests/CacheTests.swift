import BuildContext
import Linux
import OCI
import Store
import Testing

@testable import Builder
import Images

@Suite("A cache's document and where caches are")
struct CacheTests {
    private func layer(_ name: String) -> Digest { Digest.sha256(of: Array(name.utf8)) }

    private func blob(_ name: String) -> Descriptor {
        Descriptor(mediaType: MediaType.layerGzip, digest: Digest.sha256(of: Array("packed \(name)".utf8)), size: 7)
    }

    private func step(_ name: String, _ layer: Digest?) -> BuildSteps.Step {
        BuildSteps.Step(key: "\(Digest.sha256(of: Array(name.utf8)))", created: "2026-01-02T03:04:05.5Z", layer: layer)
    }

    @Test("what is written is read again: each layer and each step once, in BuildKit's form")
    func document() throws {
        let (a, b, c) = (layer("a"), layer("b"), layer("c"))
        let chains = [[step("1", a), step("2", nil), step("3", b)], [step("1", a), step("4", c)]]
        let blobs = [a: blob("a"), b: blob("b"), c: blob("c")]
        let document = CacheDocument(chains, blobs: blobs)
        #expect(document.layers?.map(\.parent) == [-1, 0, 0])
        #expect(document.records?.map { $0.inputs?[0].map(\.link) } == [nil, [0], [1], [0]])
        let read = try CacheDocument(reading: try document.serialized())
        #expect(read == document)
        let manifest = Dictionary(blobs.values.map { ($0.digest, $0) }) { $1 }
        let (layers, found) = try read.blobs(among: manifest)
        #expect(layers == [a, b, c] && found == blobs)
        let steps = try read.steps(layers: layers)
        #expect(steps.count == 4)
        #expect(steps[step("2", nil).key]?.layer == nil && steps[step("4", c).key]?.layer == c)
        #expect(steps[step("1", a).key]?.created.description == "2026-01-02T03:04:05.5Z")
        let (kept, more) = (layer("kept"), blobs.merging([layer("kept"): blob("kept")]) { $1 })
        let withMount = CacheDocument(chains, mounts: [BuildSteps.Mount(key: "k", layer: kept)], blobs: more)
        #expect(withMount.layers?.last?.parent == -1)
        #expect(try withMount.mounts(layers: [a, b, c, kept]) == ["k": kept])
        #expect(throws: BuildError.self) { try withMount.mounts(layers: [a]) }
        #expect(try document.mounts(layers: layers).isEmpty && document.mounts == nil)
        // A layer of which there is no blob takes its step along.
        #expect(CacheDocument(chains, blobs: [a: blob("a")]).records?.count == 2)
    }

    @Test("what contradicts itself, lacks something or is too large is refused; what BuildKit wrote says nothing")
    func hostile() throws {
        let (a, text) = (layer("a"), { (text: String) in try CacheDocument(reading: Array(text.utf8)) })
        let key = step("1", a).key
        let record = #"{"digest":"\#(key)","created":"2026-01-02T03:04:05Z","layers":[{"layer":0}]}"#
        #expect(try text(#"{"records":[\#(record)]}"#).steps(layers: [a]).count == 1)
        for bad in [
            #"{"records":[\#(record)]}"#, #"{"records":[{"digest":"x","created":"2026-01-02T03:04:05Z","layers":[{"layer":-1}]}]}"#,
        ] {
            #expect(throws: BuildError.self) { try text(bad).steps(layers: []) }
        }
        #expect(throws: BuildError.self) { try text(#"{"records":[{"digest":"x","created":"yesterday"}]}"#).steps(layers: []) }
        #expect(throws: BuildError.self) {
            try text(#"{"records":[\#(record),{"digest":"\#(key)","created":"2026-01-02T03:04:05Z"}]}"#).steps(layers: [a])
        }
        #expect(throws: BuildError.self) { try text(#"{"layers":[{"blob":"../../etc"}]}"#) }
        #expect(throws: BuildError.self) { try text(#"{"layers":[{"blob":"\#(a)"}]}"#).blobs(among: [a: blob("a")]) }
        #expect(throws: BuildError.self) { try text(#"{"layers":[{"blob":"\#(a)","annotations":{"diffID":"\#(a)"}}]}"#).blobs(among: [:]) }
        #expect(throws: BuildError.self) { try text("[1") }
        #expect(throws: BuildError.self) { try CacheDocument(reading: [UInt8](repeating: 32, count: CacheDocument.mostBytes + 1)) }
        #expect(
            try text(#"{"records":[{"digest":"x","layers":[{"layer":5},{"layer":6}],"inputs":[[{"selector":"s","link":1}]]}]}"#).steps(layers: [])
                .isEmpty)
    }

    @Test("an image's configuration with a cache in it is the same configuration otherwise")
    func inline() throws {
        let (a, b) = (layer("a"), layer("b"))
        var config = ImageConfig()
        config.rootfs.diffIDs = [b, a]
        let document = CacheDocument(inlining: [step("1", a), step("2", nil), step("3", layer("squashed"))], layers: [b, a])
        let bytes = try encodeDocument(InlineCache(config: config, document: document))
        let steps = try #require(try InlineCache.read(in: bytes)).steps
        #expect(steps.count == 2 && steps[step("1", a).key]?.layer == a)
        #expect(try InlineCache.read(in: try encodeDocument(config)) == nil)
        #expect(throws: BuildError.self) { try InlineCache.read(in: Array(#"{"moby.buildkit.cache.v0":"?"}"#.utf8)) }
    }

    @Test("the key of a step tells what it does and what it stands on")
    func key() throws {
        var key = CacheKey("run", parent: layer("a"))
        key.add("true")
        #expect(key.text == key.text(on: layer("a")))
        #expect(key.text != key.text(on: layer("b")) && key.text != key.text(on: nil))
    }

    @Test("places of caches are read as BuildKit reads them, and written so that they are read again")
    func places() throws {
        #expect(try CachePlace.source("host:5000/a:b") == CachePlace(.image, reference: "host:5000/a:b"))
        #expect(try CachePlace.target("host/a").kind == .registry)
        #expect(try CachePlace.target("inline").kind == .inline)
        for text in [
            "type=registry,ref=host/a:b,mode=max,compression=zstd,ignore-error=true,mounts=true", #"type=local,"dest=/a,b",tag=x"#, "type=inline",
            "type=registry,ref=a,image-manifest=true,oci-mediatypes=true,mode=min",
        ] {
            let place = try CachePlace.target(text)
            #expect(try CachePlace.target(place.text) == place)
        }
        var source = try CachePlace.source("type=local,src=/a,tag=x")
        source.folder = CachePlace.deposit + "1"
        #expect(try CachePlace.source(source.text) == source)
        for (text, message) in [
            ("type=gha", "unknown cache exporter: gha"), ("type=image", "unknown cache exporter: image"),
            ("type=registry", "registry cache exporter requires ref"), ("type=local", "local cache exporter requires dest"),
            ("ref=a", "type required form> \"ref=a\""),
            ("type=inline,mode=max", "an inline cache has the steps of the result only: mode=max is not possible"),
            ("type=local,dest=a,mode=all", "invalid cache mode \"all\": min or max is possible"),
            ("type=local,dest=a,compression=estargz", "unsupported compression \"estargz\": gzip, zstd or uncompressed is possible"),
            ("type=local,dest=a,digest=b", "the option digest of a cache is not available in this version of Skiff"),
            ("type=registry,ref=a,image-manifest=false", "image-manifest=false is not available in this version of Skiff"),
            ("type=registry,ref=a,mode", "invalid value mode: must be a key=value pair"),
        ] {
            #expect(throws: CachePlace.Failure(message)) { try CachePlace.target(text) }
        }
        #expect(throws: CachePlace.Failure("unknown cache importer: inline")) { try CachePlace.source("type=inline") }
        #expect(throws: CachePlace.Failure("local cache importer requires src")) { try CachePlace.source("type=local") }
    }
}
