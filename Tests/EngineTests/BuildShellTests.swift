import NIOCore
import Testing

@testable import Engine

@Suite("The shell of a build that fails")
struct BuildShellTests {
    private struct Silence: ClientStream {
        func read() async throws -> ByteBuffer? { nil }
        func write(_ bytes: ByteBuffer) async throws {}
    }

    @Test("it waits for a client, and no longer than it may")
    func wait() async throws {
        let late = BuildShell()
        #expect(try await late.visitor(within: .zero) == nil)
        let early = BuildShell()
        let visit = Task { await early.join(BuildShell.Visitor(stream: Silence(), rows: 3, columns: 4)) }
        let visitor = try await early.visitor(within: .seconds(600))
        #expect(visitor?.rows == 3)
        early.finish()
        await visit.value
    }
}
