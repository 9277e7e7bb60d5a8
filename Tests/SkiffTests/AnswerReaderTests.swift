import Testing

@testable import EngineClient

/// Answers of HTTP as a socket gives them, in pieces of every size.
@Suite struct AnswerReaderTests {
    /// Gives the text in pieces of `count` bytes, then the end.
    private final class Pieces {
        private var rest: ArraySlice<UInt8>
        private let count: Int

        init(_ text: String, by count: Int) {
            rest = Array(text.utf8)[...]
            self.count = count
        }

        func next() -> [UInt8] {
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
    }

    private func read(
        _ text: String, by count: Int = 1 << 16, hasBody: Bool = true, hijacks: Bool = false
    ) throws -> (head: AnswerHead, body: String) {
        let pieces = Pieces(text, by: count)
        var reader = AnswerReader()
        let head = try reader.head(hasBody: hasBody, hijacks: hijacks, pieces.next)
        var body: [UInt8] = []
        while let more = try reader.next(pieces.next) { body += more }
        #expect(try reader.next(pieces.next) == nil)
        return (head, String(decoding: body, as: UTF8.self))
    }

    @Test(arguments: [1, 2, 3, 7, 1000]) func bodiesInAllFramings(count: Int) throws {
        let known = try read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Name:  a b \r\n\r\nhelloANOTHER", by: count)
        #expect(known.head.status == 200)
        #expect(known.head.first("x-name") == "a b")
        #expect(known.body == "hello")
        let chunked = try read(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5;x=y\r\nhello\r\nA\r\n, the rest\r\n0\r\nTrailer: 1\r\n\r\n", by: count)
        #expect(chunked.body == "hello, the rest")
        #expect(try read("HTTP/1.1 500 Oh\r\n\r\nuntil the end", by: count).body == "until the end")
        #expect(try read("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", by: count).head.status == 204)
        #expect(try read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", by: count, hasBody: false).body == "")
    }

    @Test(arguments: [101, 200]) func aHijackedConnectionIsAStream(status: Int) throws {
        let answer = try read("HTTP/1.1 \(status) X\r\nContent-Length: 1\r\n\r\nstream", by: 3, hijacks: true)
        #expect(answer.body == "stream")
    }

    @Test func aRefusedHijackHasABody() throws {
        #expect(try read("HTTP/1.1 409 X\r\nContent-Length: 2\r\n\r\nno!", hijacks: true).body == "no")
    }

    /// A chunk is handed on though the line behind it has not come.
    @Test func aChunkIsNotHeldBack() throws {
        var pieces = ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "3\r\nabc"]
        var reader = AnswerReader()
        let receive = { Array(pieces.removeFirst().utf8) }
        _ = try reader.head(hasBody: true, hijacks: false, receive)
        #expect(try reader.next(receive) == Array("abc".utf8))
    }

    @Test(arguments: [
        ("", "the engine closed the connection without an answer"),
        ("HTTP/1.1 200 OK\r\nContent", "the engine closed the connection without an answer"),
        ("SSH-2.0-OpenSSH\r\n\r\n", "the answer of the engine is not HTTP"),
        ("HTTP/1.1 20x OK\r\n\r\n", "the answer of the engine is not HTTP"),
        ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "the answer of the engine is not HTTP"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "unexpected EOF"),
        ("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "the engine answers with a wrong length: -5"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "the engine answers in an unknown coding: gzip"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", "unexpected EOF"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello", "unexpected EOF"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n", "the engine answers with a wrong chunk"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n", "the engine answers with a wrong chunk"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n", "the engine answers with a wrong chunk"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + String(repeating: "1", count: 9000), "the engine answers with a wrong chunk"),
        ("HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: 70_000), "the answer of the engine has no end of its head"),
    ])
    func wrongAnswersAreErrors(text: String, message: String) {
        #expect { try read(text, by: 1000) } throws: { "\($0)" == message }
    }

    @Test func aHeaderHoldsNoSecondLine() throws {
        #expect(throws: EngineConnectionError.self) {
            try RequestHead(EngineRequest(.get, "/_ping"), version: "", hijacks: false, extra: [("X", "a\r\nY: b")])
        }
        #expect(throws: EngineConnectionError.self) {
            try RequestHead(EngineRequest(.get, "/_ping"), version: "1.50 HTTP/1.1\r\nY: b", hijacks: false, extra: [])
        }
        let head = try RequestHead(EngineRequest(.post, "/x%20y"), version: "1.50", hijacks: false, extra: [("user-agent", "me")])
        #expect(head.headers.filter { $0.0.lowercased() == "user-agent" }.map(\.1) == ["me"])
    }
}
