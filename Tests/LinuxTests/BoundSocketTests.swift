import Glibc
import SystemPackage
import Testing

@testable import Linux

@Suite("Ports")
struct BoundSocketTests {
    @Test("a port that was given back is free at once, also while programs are being started")
    func releases() async throws {
        let address = try #require(IPAddress("127.83.7.1"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for _ in 0..<200 {
                    let pid = try spawn("/bin/true", arguments: [], environment: [], descriptors: [])
                    var status: Int32 = 0
                    #expect(waitpid(pid, &status, 0) == pid)
                }
            }
            group.addTask {
                for turn in 0..<5000 {
                    _ = try BoundSocket(address, port: 4711, turn % 2 == 0 ? .udp : .tcp)
                }
            }
            try await group.waitForAll()
        }
    }

    @Test("a port that somebody has is refused", arguments: [Transport.tcp, .udp])
    func refuses(transport: Transport) throws {
        let address = try #require(IPAddress("127.83.7.2"))
        let holder = try BoundSocket(address, port: 0, transport)
        let error = #expect(throws: SystemError.self) { _ = try BoundSocket(address, port: holder.port, transport) }
        #expect(error?.errno == .addressInUse)
    }
}
