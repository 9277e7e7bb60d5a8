import EngineClient
import NIOCore
import Testing

@testable import SkiffCommands

@Suite("streams of containers")
struct StreamTests {
    private func pieces(_ chunks: [[UInt8]]) throws -> [String] {
        var frames = StreamFrames()
        var pieces: [String] = []
        for chunk in chunks {
            frames.append(ByteBuffer(bytes: chunk))
            while let piece = try frames.next() { pieces.append("\(piece.stream.rawValue):\(String(buffer: piece.bytes))") }
        }
        return pieces
    }

    private let bytes: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 3] + Array("out".utf8) + [2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 2] + Array("er".utf8)

    @Test("frames are taken apart, empty ones are skipped")
    func whole() throws {
        #expect(try pieces([bytes]) == ["1:out", "2:er"])
    }

    @Test("it does not matter where the stream was cut")
    func cut() throws {
        #expect(try pieces(bytes.map { [$0] }).joined() == "1:o1:u1:t2:e2:r")
        for place in 1..<bytes.count {
            let text = try pieces([Array(bytes[..<place]), Array(bytes[place...])])
            #expect(text.map { $0.dropFirst(2) }.joined() == "outer")
        }
    }

    @Test("a stream that is not framed is refused")
    func garbage() {
        #expect(throws: EngineConnectionError.self) { try pieces([Array("hello world".utf8)]) }
    }

    @Test("addresses of engines")
    func addresses() throws {
        #expect(try EngineAddress("unix:///run/x.sock") == .unix(path: "/run/x.sock"))
        #expect(try EngineAddress("tcp://h:99") == .tcp(host: "h", port: 99))
        #expect(try EngineAddress("tcp://[::1]:99") == .tcp(host: "::1", port: 99))
        #expect(try EngineAddress("tcp://h") == .tcp(host: "h", port: 2375))
        #expect(throws: EngineConnectionError.self) { try EngineAddress("ftp://x") }
    }
}
