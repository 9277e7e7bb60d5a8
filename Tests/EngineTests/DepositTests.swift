import Linux
import SystemPackage
import Testing

@testable import Engine

@Suite("What is handed in ahead of a build")
struct DepositTests {
    @Test("it is for one build, and goes by itself when none comes")
    func lifetime() async throws {
        let kept = BuildDeposits()
        let id = try await kept.add(.secrets(["a": [1]]))
        #expect(try await kept.take([id, "other"]).secrets(id) == ["a": [1]])
        let again = await kept.take([id])
        #expect(throws: EngineError.self) { try again.secrets(id) }

        let made = FilePath("/tmp/skiff-deposit-cache")
        let cache = try await kept.add(.cache(made))
        // It is no build's.
        let taken = await kept.take([cache])
        #expect(throws: EngineError.self) { try taken.lock(cache) }
        #expect(try await kept.checkCache(cache) == made)
        #expect(try await kept.takeCache(cache) == made)
        await #expect(throws: EngineError.self) { try await kept.checkCache(cache) }

        let directory = FilePath("/tmp/skiff-deposit-\(UInt64.random(in: .min ... .max))")
        try makeDirectories(directory)
        let (time, clock) = AsyncStream.makeStream(of: Void.self)
        let short = BuildDeposits(lifetime: { for await _ in time {} })
        let forgotten = try await short.add(.context(directory))
        let end = try #require(await short.things[forgotten]?.end)
        #expect(try lstatIfExists(directory) != nil)
        clock.finish()
        await end.value
        #expect(try lstatIfExists(directory) == nil)
        #expect(await short.things.count == 0)
    }

    @Test("the time of a cache begins when its build has ended, and ends with its folder")
    func caches() async throws {
        let folder = FilePath("/tmp/skiff-deposit-\(UInt64.random(in: .min ... .max))")
        try makeDirectories(folder.appending("blobs"))
        let (time, clock) = AsyncStream.makeStream(of: Void.self)
        let deposits = BuildDeposits(lifetime: { for await _ in time {} })
        let id = try await deposits.add(.cache(folder), leftBy: "build")
        await deposits.buildEnded("other")
        #expect(await deposits.things[id] != nil)
        #expect(await deposits.things[id]?.end == nil)
        await deposits.buildEnded("build")
        let end = try #require(await deposits.things[id]?.end)
        try await deposits.checkCache(id)
        #expect(try lstatIfExists(folder) != nil)
        clock.finish()
        await end.value
        #expect(try lstatIfExists(folder) == nil)
        await #expect(throws: EngineError.self) { try await deposits.checkCache(id) }
    }
}
