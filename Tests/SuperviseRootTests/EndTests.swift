import Glibc
import Linux
import OCI
import SystemPackage
import Testing

@Suite("Ends under supervision", .enabled(if: getuid() == 0), .timeLimit(.minutes(2)))
struct EndTests {
    private func exit(_ frames: [Client.Frame]) throws -> JSONValue {
        try JSONValue.parse(try #require(frames.first(0x23)).payload)
    }

    @Test("signals reach the program; a killed one has 128 and the signal as exit code")
    func signals() throws {
        let trapping = try Supervised(.shell("trap 'echo got; exit 7' TERM; echo ready; while :; do sleep 0.1; done"))
        try trapping.start()
        _ = try trapping.control.output(until: "ready\n")
        try trapping.control.send(0x14, [0, 0, 0, 15])
        let frames = try trapping.control.rest()
        #expect(frames.first(0x25)?.payload == [])
        #expect(frames.text == "got\n")
        #expect(try exit(frames)["exitCode"] == 7)
        try trapping.end()

        let killed = try Supervised(Supervised.Settings(["/bin/sleep", "600"]))
        try killed.start()
        try killed.control.send(0x14, [0, 0, 0, 9])
        let end = try exit(try killed.control.rest())
        #expect(end["exitCode"] == 137 && end["signal"] == 9)
        try killed.end()
    }

    @Test(
        "a program that cannot be executed is told with its exit code and runc's words",
        arguments: [
            (["nosuch"], 127, "executable file not found in $PATH"), (["/nosuch"], 127, "no such file or directory"),
            (["/tmp"], 126, "is a directory"), (["/bin/data"], 126, "permission denied"),
        ] as [([String], Int32, String)])
    func failures(arguments: [String], code: Int32, text: String) throws {
        let data = Bundle.shared.root.appending("bin/data")
        try writeAtomically([1], to: data, mode: 0o644, sync: false)
        let run = try Supervised(Supervised.Settings(arguments))
        let first = try #require(try run.control.next())
        if first.type == 0x20 { try? run.control.send(0x13) }  // It may have failed by now.
        let failure = try #require(([first] + run.control.rest()).first(0x22))
        #expect(failure.payload.prefix(4).reduce(0) { $0 << 8 | Int32($1) } == code)
        let message = String(decoding: failure.payload.dropFirst(4), as: UTF8.self)
        #expect(message.contains(text), "\(message)")
        try run.end()
        #expect(!run.exists("exit.json"))
    }

    @Test("a container that needs more memory than it may have was killed for that")
    func outOfMemory() throws {
        var settings = Supervised.Settings.shell("head -c 200m /dev/zero | tail")
        settings.resources.memory = .init(limit: 24 << 20, swap: 24 << 20)
        let run = try Supervised(settings)
        try run.start()
        #expect(try exit(try run.control.rest())["oomKilled"] == true)
        try run.end()
    }

    @Test("a supervisor that is killed takes the container along")
    func killedSupervisor() throws {
        let run = try Supervised(Supervised.Settings(["/bin/sleep", "600"]))
        try run.start()
        let process = try openProcess(run.pid)
        try run.kill9()
        var waiting = pollfd(fd: process.raw, events: Int16(POLLIN), revents: 0)
        #expect(poll(&waiting, 1, 10_000) == 1)
        let cgroup = try Cgroup.open(path: "\(Supervised.cgroupParent)/\(run.id)")
        #expect(try cgroup.processes() == [])
        try cgroup.remove()
    }

    @Test("when the engine goes before START, everything is taken back and nothing is told")
    func lostEngine() throws {
        let run = try Supervised(.shell("echo never"))
        try run.created()
        shutdown(run.control.socket.raw, Int32(SHUT_RDWR))
        #expect(try run.end() == .exited(0))
        #expect(!run.exists("exit.json"))
        #expect(try run.file("log") == [])
    }

    @Test("when the engine goes after START, the container goes on")
    func lostEngineLater() throws {
        let run = try Supervised(.shell("read line; echo \"$line\"", options: ["--stdin"]))
        try run.start(attached: false)
        shutdown(run.control.socket.raw, Int32(SHUT_RDWR))
        let other = try run.connect()
        try other.send(0x10, [1])
        try other.send(0x00, Array("still here\n".utf8))
        let frames = try other.rest()
        #expect(frames.text == "still here\n")
        #expect(try exit(frames)["exitCode"] == 0)
        try run.end()
    }

    @Test("signals that end other programs do not end a supervisor")
    func deafToSignals() throws {
        let run = try Supervised(.shell("read line", options: ["--stdin"]))
        try run.start()
        for signal in [SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGUSR1] { kill(run.supervisor, signal) }
        try run.control.send(0x11)
        #expect(try run.control.rest().map(\.type) == [0x23])
        try run.end()
    }

    @Test("files say who runs: the supervisor's pid, the container's state")
    func files() throws {
        let run = try Supervised(.shell("read line", options: ["--stdin"]))
        try run.start()
        #expect(try run.file("supervisor.pid") == Array("\(run.supervisor)\n".utf8))
        let state = try JSONValue.parse(try run.file("state.json"))
        #expect(state["pid"]?.integer == Int64(run.pid))
        #expect(state["id"]?.string == run.id)
        #expect(state["cgroupPath"]?.string == "\(Supervised.cgroupParent)/\(run.id)")
        #expect(state["startTime"]?.integer == Int64(try processStartTime(run.pid)))
        var status = stat()
        #expect(stat(run.directory.appending("supervisor.sock").string, &status) == 0 && status.st_mode & 0o777 == 0o600)
        try run.control.send(0x11)
        _ = try run.control.rest()
        try run.end()
    }

    @Test("an exec session has output, input and an exit code of its own and counts as part of the container")
    func execSession() throws {
        let container = try Supervised(.shell("read line", options: ["--stdin"]))
        try container.start()
        let process = Supervised.process(["/bin/sh", "-c", "cat; echo $$ >&2; exit 5"])
        let session = try Supervised(exec: process, in: container, options: ["--stdin"])
        try session.start()
        let cgroup = try Cgroup.open(path: "\(Supervised.cgroupParent)/\(container.id)")
        #expect(try Set(cgroup.processes()).isSuperset(of: [container.pid, session.pid]))
        try session.control.send(0x00, Array("in and out".utf8))
        try session.control.send(0x11)
        let frames = try session.control.rest()
        #expect(frames.text == "in and out")
        #expect(frames.output(2) != Array("1\n".utf8))
        #expect(try exit(frames)["exitCode"] == 5)
        try session.end()
        #expect(!session.exists("log"))

        let missing = try Supervised(exec: Supervised.process(["nosuch"]), in: container)
        let first = try #require(try missing.control.next())
        if first.type == 0x20 { try? missing.control.send(0x13) }  // It may have failed by now.
        let failure = try #require(([first] + missing.control.rest()).first(0x22))
        #expect(failure.payload.prefix(4) == [0, 0, 0, 127])
        try missing.end()
        try container.control.send(0x11)
        _ = try container.control.rest()
        try container.end()
    }

    @Test("an exec session ends with its process, though a child of it keeps the output open")
    func execWithChild() throws {
        let container = try Supervised(.shell("read line", options: ["--stdin"]))
        try container.start()
        let process = Supervised.process(["/bin/sh", "-c", "sleep 600 & echo gone"])
        let session = try Supervised(exec: process, in: container)
        try session.start()
        let frames = try session.control.rest()
        #expect(frames.text == "gone\n")
        #expect(try exit(frames)["exitCode"] == 0)
        try session.end()
        try container.control.send(0x11)
        _ = try container.control.rest()
        try container.end()
    }
}
