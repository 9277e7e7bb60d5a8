import Glibc
import Linux
import OCI
import Testing

@Suite("Output under supervision", .enabled(if: getuid() == 0), .timeLimit(.minutes(2)))
struct OutputTests {
    @Test("output, log and exit are told completely, in order, and nothing is left")
    func plainRun() throws {
        let run = try Supervised(.shell("echo out; echo err >&2; exit 3"))
        try run.start()
        let frames = try run.control.rest()
        #expect(frames.output(1) == Array("out\n".utf8))
        #expect(frames.output(2) == Array("err\n".utf8))
        let last = try #require(frames.last)
        #expect(last.type == 0x23)
        #expect(try run.file("exit.json") == last.payload)
        let exit = try JSONValue.parse(last.payload)
        #expect(exit["exitCode"] == 3 && exit["signal"] == 0 && exit["oomKilled"] == false)
        let times = ["startedAt", "finishedAt"].compactMap { exit[$0]?.string }.compactMap { Timestamp(rfc3339: $0) }
        #expect(times.count == 2 && times[0] < times[1])
        #expect(try run.end() == .exited(0))
        let entries = try run.log()
        #expect(Set(entries.compactMap { $0["stream"]?.string }) == ["stdout", "stderr"])
        #expect(Set(entries.compactMap { $0["log"]?.string }) == ["out\n", "err\n"])
    }

    @Test("the log has Docker's bytes: what is dangerous in HTML, no UTF-8, or too old for a terminal is escaped")
    func escapes() throws {
        let script = #"printf 'a<b>&"\\\t\r\001\177 \303\244 \342\200\250\342\200\251 \377\303( \355\240\200\n'"#
        let run = try Supervised(.shell(script))
        try run.start()
        _ = try run.control.rest()
        try run.end()
        let line = String(decoding: try run.file("log"), as: UTF8.self)
        let text =
            #"{"log":"a\u003cb\u003e\u0026\"\\\u0009\r\u0001"# + "\u{7F} ä "
            + #"\u2028\u2029 \ufffd\ufffd( \ufffd\ufffd\ufffd\n","stream":"stdout","time":""#
        #expect(line.hasPrefix(text))
        #expect(line.hasSuffix("Z\"}\n"))
    }

    @Test("a line of more than 16 KiB is cut, all parts with one time; a rest without line break is kept as it is")
    func longLines() throws {
        let long = "head -c 40000 /dev/zero | tr '\\0' x; echo; head -c 16384 /dev/zero | tr '\\0' y; echo; printf rest"
        let run = try Supervised(.shell(long))
        try run.start()
        _ = try run.control.rest()
        try run.end()
        let entries = try run.log()
        #expect(entries.map { $0["log"]?.string?.utf8.count } == [16384, 16384, 7233, 16384, 1, 4])
        #expect(entries.last?["log"] == "rest")
        #expect(Set(entries.prefix(3).compactMap { $0["time"]?.string }).count == 1)
    }

    @Test("a log that cannot be written is reported once and keeps no container from working")
    func fullLog() throws {
        var settings = Supervised.Settings.shell("echo one; echo two; echo three")
        settings.log = "/dev/full"
        let run = try Supervised(settings)
        run.expectsReport = true
        try run.start()
        #expect(try run.control.rest().text == "one\ntwo\nthree\n")
        try run.end()
        let report = String(decoding: try run.file("supervisor.log"), as: UTF8.self)
        #expect(report.split(separator: "\n").count == 1)
        #expect(report.contains("No space left on device"))
    }

    @Test("a reader that does not read holds the container up, loses nothing, and stops nobody when it goes")
    func slowReader() throws {
        // 8 MB in numbered lines; the mark on stderr shows that all was written.
        let run = try Supervised(.shell("awk 'BEGIN { for (i = 10001; i <= 12000; i++) printf \"%03999d\\n\", i }'; echo done >&2"))
        try run.created()
        let slow = try run.connect()
        try slow.send(0x10, [1])
        #expect(try slow.next()?.type == 0x24)
        let deaf = try run.connect()
        try deaf.send(0x10, [1])
        #expect(try deaf.next()?.type == 0x24)
        try run.control.send(0x10, [2])
        try run.control.send(0x13)
        #expect(try run.control.next()?.type == 0x24)
        #expect(try run.control.next()?.type == 0x21)
        // Nobody reads: the log stops growing far from the end, since the container is held up.
        var size = -1
        while case let now = run.size("log"), now != size || now == 0 {
            size = now
            usleep(100_000)  // There is no event for nothing happening.
        }
        #expect(size < 6_000_000 && !run.exists("exit.json"))
        shutdownBoth(deaf)
        let output = try slow.rest().output(1)
        let zeros = [UInt8](repeating: UInt8(ascii: "0"), count: 3994)
        let expected = (10_001...12_000).reduce(into: [UInt8]()) { $0 += zeros + Array("\($1)\n".utf8) }
        #expect(output == expected)
        #expect(try run.control.rest().output(2) == Array("done\n".utf8))
        try run.end()
        #expect(try run.file("log").split(separator: 10).count == 2001)
    }

    private func shutdownBoth(_ client: Client) {
        shutdown(client.socket.raw, Int32(SHUT_RDWR))
    }

    @Test("fifty connections come and go, and each sees what is written while it is there")
    func attachAndDetach() throws {
        let run = try Supervised(.shell("while read line; do echo \"<$line>\"; done", options: ["--stdin"]))
        try run.start(attached: false)
        for number in 1...50 {
            let client = try run.connect()
            try client.send(0x10, [5])
            #expect(try client.next()?.type == 0x24)
            try client.send(0x00, Array("\(number)\n".utf8))
            #expect(try client.output(until: ">\n") == "<\(number)>\n")
        }
        try run.control.send(0x11)
        #expect(try run.control.rest().map(\.type) == [0x23])
        try run.end()
        #expect(try run.log().count == 50)
    }

    @Test("who connects after the end of the program's start is told what happened before")
    func lateSubscriber() throws {
        let run = try Supervised(.shell("read line", options: ["--stdin"]))
        try run.start(attached: false)
        let late = try run.connect()
        try late.send(0x15)
        #expect(try late.next()?.type == 0x21)
        try late.send(0x00, [10])
        #expect(try late.rest().map(\.type) == [0x23])
        try run.end()
    }

    @Test(
        "nonsense closes the connection that sent it, and no other",
        arguments: [[0xFF], [0x10, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 16, 0, 1]] as [[UInt8]])
    func nonsense(bytes: [UInt8]) throws {
        let run = try Supervised(.shell("read line; echo \"$line\"", options: ["--stdin"]))
        try run.start()
        let bad = try run.connect()
        try bad.write(bytes + [UInt8](repeating: 0xEE, count: 8))
        #expect(try bad.next() == nil)
        try run.control.send(0x00, Array("fine\n".utf8))
        #expect(try run.control.rest().text == "fine\n")
        try run.end()
    }
}
