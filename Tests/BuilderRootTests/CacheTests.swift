import Blocking
import Builder
import Glibc
import Images
import Linux
import OCI
import Store
import Synchronization
import SystemPackage
import Testing

@Suite("Caches from elsewhere", .enabled(if: getuid() == 0))
struct CacheTests {
    /// Another machine: what it has built, and what is asked of it.
    private final class Elsewhere: Sendable {
        let world: BuildWorld
        private let asked = Mutex<[Digest]>([])

        init(_ world: BuildWorld) { self.world = world }

        var fetches: Int { asked.withLock { $0.count } }

        /// The cache of a build there, for a store here.
        func cache(
            of dockerfile: String, for other: BuildWorld, arguments: [String: String] = [:],
            _ change: @escaping @Sendable (inout ImportedCache.Step) -> Void = { _ in }
        ) async throws -> ImportedCache {
            let found = Mutex<[BuildSteps.Step]>([])
            _ = try await world.build(dockerfile) { request in
                request.buildArgs = arguments
                request.exportSteps = { steps in found.withLock { $0 = Array(steps.chains(.max).joined()) } }
            }
            let steps = try Dictionary(
                found.withLock { $0 }.map { step in
                    var made = ImportedCache.Step(created: try #require(Timestamp(rfc3339: step.created)), layer: step.layer)
                    change(&made)
                    return (step.key, made)
                }
            ) { $1 }
            return ImportedCache(name: "elsewhere", steps: steps) { [self] layer in
                asked.withLock { $0.append(layer) }
                let place = other.root.appending("layer-\(layer.hex)")
                try await world.images.layers.tar(layer, to: SharedFD(try OwnedFD.open(place, [.writeOnly, .create, .truncate])))
                _ = try await other.images.layers.unpack(from: SharedFD(try OwnedFD.open(place, .readOnly)), expected: layer)
            }
        }
    }

    private func withTwo(_ body: (Elsewhere, BuildWorld) async throws -> Void) async throws {
        try await BuildWorld.with { (world) async throws in
            try await BuildWorld.with { (other) async throws in try await body(Elsewhere(world), other) }
        }
    }

    private let dockerfile = "FROM scratch AS one\nENV A b\nRUN write /one 1\nFROM scratch\nCOPY --from=one /one /\nRUN write /two 2\nCMD [\"x\"]\n"

    @Test("a named cache gives all steps, its layers come when they are needed, and nobody else gets anything of it")
    func hits() async throws {
        try await withTwo { elsewhere, here in
            let cache = try await elsewhere.cache(of: dockerfile, for: here)
            let built = try await here.build(dockerfile) { $0.imports = [cache] }
            #expect(built.log.components(of: "Using cache") == 5)
            #expect(here.runner.steps.isEmpty)
            // Two of the three steps with files make the same layer.
            #expect(elsewhere.fetches == 2)
            #expect(try here.look(built.image, "/two") == "regular 644 0:0 2")
            #expect(built.image.id == (try await elsewhere.world.build(dockerfile)).image.id)

            let again = try await here.build(dockerfile) { $0.imports = [cache] }
            #expect(again.image.id == built.image.id && elsewhere.fetches == 2)

            let alone = try await here.build(dockerfile)
            #expect(!alone.log.contains("Using cache"))
            #expect(here.runner.steps.count == 2)
        }
    }

    @Test("what this machine knows comes first, and where it knows no further the cache goes on from the beginning")
    func bothWays() async throws {
        try await withTwo { elsewhere, here in
            let short = "FROM scratch\nRUN write /one 1\nENV A b\n"
            let long = short + "RUN write /two 2\nRUN write /three 3\n"
            let cache = try await elsewhere.cache(of: long, for: here)
            _ = try await here.build(short)
            #expect(here.runner.steps.count == 1)
            _ = try await here.build(short) { $0.imports = [cache] }
            #expect(elsewhere.fetches == 0)
            let built = try await here.build(long) { $0.imports = [cache] }
            #expect(here.runner.steps.count == 1)
            #expect(built.image.layers == (try await elsewhere.world.build(long)).image.layers)
        }
    }

    @Test("a cache that does not have what it promises is told once, and the build goes on without")
    func broken() async throws {
        try await withTwo { elsewhere, here in
            let wrong = Digest.sha256(of: [1])
            let cache = try await elsewhere.cache(of: dockerfile, for: here) { step in
                if step.layer != nil { step.layer = wrong }
            }
            let built = try await here.build(dockerfile) { $0.imports = [cache] }
            #expect(built.log.components(of: "[Warning] cache elsewhere is not used any further: ") == 1)
            #expect(here.runner.steps.count == 2)
            #expect(try here.look(built.image, "/one") == "regular 644 0:0 1")
            #expect(try here.leftovers().isEmpty)
        }
    }

    @Test("a step that makes no files gets none, and nothing is younger than it may be")
    func limits() async throws {
        try await withTwo { elsewhere, here in
            let text = "FROM scratch\nRUN write /one 1\nENV A b\n"
            let some = Mutex<Digest?>(nil)
            let first = try await elsewhere.cache(of: text, for: here) { step in
                if let layer = step.layer { some.withLock { $0 = layer } }
            }
            let layer = some.withLock { $0 }
            let hostile = ImportedCache(
                name: "hostile", steps: first.steps.mapValues { ImportedCache.Step(created: $0.created, layer: $0.layer ?? layer) }
            ) { _ in }
            _ = try await here.build(text) { $0.imports = [first] }
            let built = try await here.build(text) { $0.imports = [hostile] }
            #expect(built.image.layers.count == 1)
            for (seconds, runs) in [(1000, 0), (1001, 1)] {
                let epoch = ["SOURCE_DATE_EPOCH": "1000"]
                let late = try await elsewhere.cache(of: "FROM scratch\nRUN write /late \(seconds)\n", for: here, arguments: epoch) { step in
                    step.created = Timestamp(seconds: Int64(seconds))
                }
                let before = here.runner.steps.count
                let old = try await here.build("FROM scratch\nRUN write /late \(seconds)\n") {
                    $0.imports = [late]
                    $0.buildArgs = epoch
                }
                #expect(here.runner.steps.count == before + runs)
                #expect(old.image.created == "1970-01-01T00:16:40Z")
            }
        }
    }

    @Test("what a command finds under a name of a host belongs to its key")
    func hosts() async throws {
        try await BuildWorld.with { (world) async throws in
            let text = "FROM scratch\nRUN write /x x\n"
            for (number, hosts) in [[], ["a:10.0.0.1", "b:10.0.0.2"], ["b:10.0.0.2", "a:10.0.0.1"], ["a:10.0.0.3"]].enumerated() {
                _ = try await world.build(text) { $0.limits.extraHosts = hosts }
                #expect(world.runner.steps.count == [1, 2, 2, 3][number])
            }
            _ = try await world.build(text) { $0.buildArgs = ["BUILDKIT_SANDBOX_HOSTNAME": "other"] }
            #expect(world.runner.steps.count == 4)
        }
    }

    @Test("cache mounts go along with a build whose steps were all known, and leave no layer")
    func mounts() async throws {
        try await BuildWorld.with { (world) async throws in
            let text = "FROM scratch\nRUN --mount=type=cache,target=/c put 0 f F && write /x x\n"
            let exported = Mutex<[BuildSteps.Mount]>([])
            let export: @Sendable (BuildSteps) async throws -> Void = { steps in
                let mounts = try await steps.mounts()
                exported.withLock { $0 = mounts }
            }
            let image = try await world.build(text).image
            let before = try world.layers()
            #expect(before.count == image.layers.count)
            let known = try await world.build(text) { $0.exportSteps = export }
            #expect(world.runner.steps.count == 1 && known.image.id == image.id)
            let mounts = exported.withLock { $0 }
            #expect(mounts.count == 1 && !image.layers.contains(mounts[0].layer))
            #expect(try world.layers() == before)
            // The same when the export fails.
            let failure = await world.failure(text) {
                $0.exportSteps = { steps in
                    try await export(steps)
                    throw BuildError.failed("no room")
                }
            }
            #expect(failure == "no room")
            #expect(try world.layers() == before)
        }
    }
}
