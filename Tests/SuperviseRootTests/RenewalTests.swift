import Glibc
import Linux
import OCI
import SystemPackage
import Testing

/// A supervisor that has been idle executes itself anew, and nobody may notice.
@Suite("Supervisors that were renewed", .enabled(if: getuid() == 0), .timeLimit(.minutes(2)))
struct RenewalTests {
    @Test("streams, signals, connections, log and exit go on; the memory of the start is gone")
    func goesOn() throws {
        let run = try Supervised(
            .shell("trap 'echo got' TERM; while read line; do echo \"<$line>\"; echo \"e$line\" >&2; done; exit 4", options: ["--stdin"]))
        try run.start()
        let attached = try run.connect()
        try attached.send(0x10, [1])
        #expect(try attached.next()?.type == 0x24)
        try run.control.send(0x00, Array("before\n".utf8))
        #expect(try attached.output(until: ">\n") == "<before>\n")
        let before = try run.privateKibibytes()
        try run.waitUntilRenewed()
        #expect(try run.privateKibibytes() < before)
        #expect(openDescriptorCount(of: run.supervisor) < 20)

        try run.control.send(0x00, Array("after\n".utf8))
        #expect(try attached.output(until: ">\n") == "<after>\n")
        let late = try run.connect()
        try late.send(0x15)
        #expect(try late.next()?.type == 0x21)
        try late.send(0x10, [8])
        #expect(try late.next()?.type == 0x24)
        try late.send(0x14, [0, 0, 0, 15])
        #expect(try late.next()?.type == 0x25)
        #expect(try attached.output(until: "got\n") == "got\n")
        for signal in [SIGHUP, SIGINT, SIGTERM] { kill(run.supervisor, signal) }
        try run.control.send(0x11)
        let frames = try run.control.rest()
        #expect(frames.text.hasSuffix("got\n") && frames.output(2) == Array("ebefore\neafter\n".utf8))
        let exit = try JSONValue.parse(try #require(frames.first(0x23)).payload)
        #expect(exit["exitCode"] == 4)
        let times = ["startedAt", "finishedAt"].compactMap { exit[$0]?.string }.compactMap { Timestamp(rfc3339: $0) }
        #expect(times.count == 2 && times[0] < times[1])
        #expect(try late.rest().map(\.type) == [0x23])
        #expect(try run.end() == .exited(0))
        #expect(try run.log().compactMap { $0["log"]?.string }.sorted() == ["<after>\n", "<before>\n", "eafter\n", "ebefore\n", "got\n"])
    }

    @Test("a terminal stays, and so does what ends the container while its supervisor is renewed")
    func terminalAndEnds() throws {
        let terminal = try Supervised(.shell("stty -echo; echo one; read line; echo \"$line\"; stty size", terminal: true))
        try terminal.start()
        _ = try terminal.control.output(until: "one\r\n")
        // Some end by themselves at the very moment.
        let others = try (0..<10).map { try Supervised(.shell("printf x; sleep 0.9\($0); echo end \($0); exit \($0)")) }
        for other in others { try other.start(attached: false) }
        try terminal.waitUntilRenewed()
        try terminal.control.send(0x12, [0, 50, 0, 100])
        try terminal.control.send(0x00, Array("two\n".utf8))
        #expect(try terminal.control.rest().text == "two\r\n50 100\r\n")
        try terminal.end()
        for (number, other) in others.enumerated() {
            let frames = try other.control.rest()
            #expect(try JSONValue.parse(try #require(frames.first(0x23)).payload)["exitCode"]?.integer == Int64(number))
            try other.end()
            #expect(try other.log().compactMap { $0["log"]?.string } == ["xend \(number)\n"])
        }
    }

    @Test("nothing is renewed while half a line waits for the log; afterwards it is, and the line is whole")
    func halfLine() throws {
        let run = try Supervised(.shell("printf half; read line; echo \" whole\"; read line", options: ["--stdin"]))
        let idle = try Supervised(Supervised.Settings(["/bin/sleep", "600"]))
        try run.start()
        _ = try run.control.output(until: "half")
        try idle.start()
        try idle.waitUntilRenewed()
        #expect(try !run.isRenewed())
        try run.control.send(0x00, [10])
        _ = try run.control.output(until: "whole\n")
        try run.waitUntilRenewed()
        try run.control.send(0x11)
        _ = try run.control.rest()
        try run.end()
        #expect(try run.log().compactMap { $0["log"]?.string } == ["half whole\n"])
        let process = try openProcess(idle.pid)
        try idle.kill9()
        var waiting = pollfd(fd: process.raw, events: Int16(POLLIN), revents: 0)
        #expect(poll(&waiting, 1, 10_000) == 1, "a container ends with its supervisor, renewed or not")
        try Cgroup.open(path: "\(Supervised.cgroupParent)/\(idle.id)").remove()
    }

    @Test("a supervisor that cannot execute itself says so and goes on as it is")
    func fails() throws {
        let program = Bundle.shared.directory.appending("skiff-runtime")
        try writeAtomically(try OwnedFD.open(Supervised.runtime, .readOnly).readAll(limit: 256 << 20), to: program, mode: 0o700, sync: false)
        defer { unlink(program.string) }
        // A signal may end a `read` before the line has come, with the status of the end of input.
        let script = "trap 'echo got' TERM; while :; do read line && echo \"<$line>\"; [ \"$line\" = end ] && exit 4; done"
        var settings = Supervised.Settings.shell(script, options: ["--stdin"])
        settings.program = program
        let run = try Supervised(settings)
        run.expectsReport = true
        let report = try Inotify()
        _ = try report.watchWrites(run.directory.appending("supervisor.log"))
        try run.start()
        // Who may not execute the file may still run it.
        try #require(chmod(program.string, 0o600) == 0)
        try run.control.send(0x00, Array("before\n".utf8))
        #expect(try run.control.output(until: ">\n") == "<before>\n")
        try #require(try pollReadable(report.raw, milliseconds: 20_000), "there was no renewal to fail")
        #expect(try String(decoding: run.file("supervisor.log"), as: UTF8.self).contains("goes on with the memory of the start"))
        #expect(try !run.isRenewed())

        let late = try run.connect()
        try late.send(0x14, [0, 0, 0, 15])
        try run.control.send(0x00, Array("after\nend\n".utf8))
        let frames = try run.control.rest()
        #expect(frames.text.contains("<after>\n"))
        #expect(try JSONValue.parse(try #require(frames.first(0x23)).payload)["exitCode"] == 4)
        #expect(try run.end() == .exited(0))
        #expect(try run.log().compactMap { $0["log"]?.string }.contains("<after>\n"))
    }

    private func openDescriptorCount(of pid: pid_t) -> Int {
        (0..<256).count { access("/proc/\(pid)/fd/\($0)", F_OK) == 0 }
    }
}

extension Supervised {
    func isRenewed() throws -> Bool {
        let words = try OwnedFD.open(FilePath("/proc/\(supervisor)/cmdline"), .readOnly).readAll(limit: 1 << 16)
        return words.split(separator: 0).contains { String(decoding: $0, as: UTF8.self) == "--resume" }
    }

    /// Nothing tells of it, since nobody is to notice.
    func waitUntilRenewed() throws {
        let deadline = monotonicMilliseconds() + 20_000
        while try !isRenewed() {
            try #require(monotonicMilliseconds() < deadline, "the supervisor was not renewed")
            usleep(10_000)
        }
    }

    /// The memory that the supervisor shares with nobody.
    func privateKibibytes() throws -> Int {
        let text = String(decoding: try OwnedFD.open(FilePath("/proc/\(supervisor)/smaps_rollup"), .readOnly).readAll(limit: 1 << 16), as: UTF8.self)
        let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("Private_Dirty:") })
        return try #require(line.split(separator: " ").dropFirst().first.flatMap { Int($0) })
    }
}
