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

        let directory = FilePath("/tmp/skiff-deposit-\(UInt64.random(in: .min ... .max))")
        try makeDirectories(directory)
        let short = BuildDeposits(lifetime: .zero)
        _ = try await short.add(.context(directory))
        // Where the machine is busy this takes its time.
        let limit = ContinuousClock.now + .seconds(120)
        while try lstatIfExists(directory) != nil, ContinuousClock.now < limit { try await Task.sleep(for: .milliseconds(10)) }
        #expect(try lstatIfExists(directory) == nil)
        #expect(await short.count == 0)
    }
}
