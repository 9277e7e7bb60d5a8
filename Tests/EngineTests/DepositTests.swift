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
        #expect(try await kept.takeSecrets(id) == ["a": [1]])
        await #expect(throws: EngineError.self) { try await kept.takeSecrets(id) }

        let made = FilePath("/tmp/skiff-deposit-cache")
        let cache = try await kept.add(.cache(made))
        #expect(try await kept.checkCache(cache) == made)
        #expect(try await kept.takeCache(cache) == made)
        await #expect(throws: EngineError.self) { try await kept.checkCache(cache) }
        await #expect(throws: EngineError.self) { try await kept.takeLock(cache) }

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
}
