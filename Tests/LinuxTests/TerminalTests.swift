import SystemPackage
import Testing

@testable import Linux

@Suite("Terminals")
struct TerminalTests {
    @Test("a pseudo terminal has a size, modes, and passes bytes on")
    func pseudoTerminal() throws {
        let terminal = try PseudoTerminal()
        let peer = try terminal.openPeer()
        try WindowSize(rows: 33, columns: 77).set(terminal.controller.raw)
        #expect(try WindowSize.get(peer.raw) == WindowSize(rows: 33, columns: 77))
        #expect(TerminalMode.isTerminal(peer.raw))
        let before = try TerminalMode.get(peer.raw)
        try before.raw().set(peer.raw)
        try terminal.controller.writeAll([3, 4, 0x0D])
        var bytes = [UInt8](repeating: 0, count: 8)
        let count = try bytes.withUnsafeMutableBytes { try peer.read(into: $0) }
        #expect(bytes[..<count] == [3, 4, 0x0D])
        try before.set(peer.raw)
    }

    @Test("what is no terminal has neither size nor mode")
    func noTerminal() throws {
        let file = try OwnedFD.open("/dev/null", .readWrite)
        #expect(!TerminalMode.isTerminal(file.raw))
        #expect(throws: SystemError.self) { try WindowSize.get(file.raw) }
        #expect(throws: SystemError.self) { try TerminalMode.get(file.raw) }
    }
}
