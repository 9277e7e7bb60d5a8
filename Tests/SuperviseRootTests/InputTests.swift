import Glibc
import Linux
import OCI
import Testing

@Suite("Input under supervision", .enabled(if: getuid() == 0), .timeLimit(.minutes(2)))
struct InputTests {
    @Test("stdin arrives whole, also when it is more than a pipe holds, and ends when it is told to")
    func bulk() throws {
        let run = try Supervised(.shell("wc -c", options: ["--stdin"]))
        try run.start()
        let block = [UInt8](repeating: 0x61, count: 1 << 20)
        for _ in 0..<5 { try run.control.send(0x00, block) }
        try run.control.send(0x11)
        #expect(try run.control.rest().text == "5242880\n")
        try run.end()
    }

    @Test("without --stdin the program reads nothing")
    func noInput() throws {
        let run = try Supervised(.shell("wc -c"))
        try run.start()
        try run.control.send(0x00, [1, 2, 3])
        #expect(try run.control.rest().text == "0\n")
        try run.end()
    }

    @Test("with --stdin-once the loss of the connection that counts ends stdin; the loss of others does not")
    func once() throws {
        let run = try Supervised(.shell("cat", options: ["--stdin", "--stdin-once"]))
        try run.start()
        do {
            let other = try run.connect()
            try other.send(0x10, [4])
            #expect(try other.next()?.type == 0x24)
            try other.send(0x00, Array("other\n".utf8))
        }
        #expect(try run.control.output(until: "other\n") == "other\n")
        do {
            let first = try run.connect()
            try first.send(0x10, [12])
            #expect(try first.next()?.type == 0x24)
            try first.send(0x00, Array("first\n".utf8))
        }
        let frames = try run.control.rest()
        #expect(frames.text == "first\n")
        #expect(frames.last?.type == 0x23)
        try run.end()
    }

    @Test("a program that closes its stdin is not disturbed by more of it")
    func closedInput() throws {
        let run = try Supervised(.shell("exec <&-; echo closed; sleep 0.2; echo after", options: ["--stdin"]))
        try run.start()
        _ = try run.control.output(until: "closed\n")
        for _ in 0..<20 { try run.control.send(0x00, [UInt8](repeating: 1, count: 100_000)) }
        #expect(try run.control.rest().text == "after\n")
        try run.end()
    }

    @Test("a terminal has the size it was given, before the start and later, and passes keys on")
    func terminal() throws {
        let run = try Supervised(.shell("stty size; read line; stty size; echo \"[$line]\"", terminal: true, options: ["--stdin"]))
        try run.created()
        try run.control.send(0x12, [0, 33, 0, 99])
        try run.control.send(0x10, [3])
        try run.control.send(0x13)
        #expect(try run.control.output(until: "33 99\r\n") == "33 99\r\n")
        try run.control.send(0x12, [0, 20, 1, 44])
        try run.control.send(0x00, Array("hi\n".utf8))
        let frames = try run.control.rest()
        #expect(frames.text == "hi\r\n20 300\r\n[hi]\r\n")
        #expect(frames.last?.type == 0x23)
        try run.end()
        #expect(try run.log().compactMap { $0["log"]?.string }.joined() == "33 99\r\nhi\r\n20 300\r\n[hi]\r\n")
    }

    @Test("what a terminal showed last is not lost when its program ends at once")
    func lastWordsOfATerminal() throws {
        for _ in 0..<10 {
            let run = try Supervised(.shell("seq 1 5000", terminal: true))
            try run.start()
            #expect(try run.control.rest().text.hasSuffix("4999\r\n5000\r\n"))
            try run.end()
        }
    }
}
