import Glibc
import Linux
import OCI
import SystemPackage
import Testing

@Suite("The life of a container", .enabled(if: getuid() == 0), .timeLimit(.minutes(30)))
struct LifeTests {
    @Test("create, start, exec, kill and delete, with the states between them")
    func commands() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            try bundle.write(bundle.spec("sleep 600"))
            let pidFile = bundle.directory.appending("pid")
            let created = try bundle.call(["create", "--bundle", bundle.directory.string, "--pid-file", pidFile.string, bundle.id])
            #expect(created.code == 0 && created.output.isEmpty)
            #expect(try bundle.state()["status"] == "created")
            let pid = try #require(try bundle.state()["pid"]?.integer)
            #expect(pid > 0)
            #expect(try OwnedFD.open(pidFile, .readOnly).readAll(limit: 20) == Array("\(pid)".utf8))
            #expect(
                try bundle.call(["create", "--bundle", bundle.directory.string, bundle.id]).output
                    == "runc create failed: container with given ID already exists\n")
            #expect(try bundle.call(["exec", bundle.id, "true"]).code == 0)

            #expect(try bundle.call(["start", bundle.id]).code == 0)
            #expect(try bundle.state()["status"] == "running")
            #expect(try bundle.call(["start", bundle.id]).output == "cannot start an already running container\n")
            #expect(try bundle.call(["delete", bundle.id]).output == "cannot delete container \(bundle.id) that is not stopped: running\n")
            #expect(try bundle.call(["exec", bundle.id, "sh", "-c", "exit 7"]).code == 7)
            #expect(
                try bundle.call(["exec", bundle.id, "readlink", "/proc/self/ns/pid"]).output
                    == bundle.call(["exec", bundle.id, "readlink", "/proc/1/ns/pid"]).output)
            #expect(!bundle.cgroupsLeft().isEmpty)

            #expect(try bundle.call(["pause", bundle.id]).code == 0)
            #expect(try bundle.state()["status"] == "paused")
            #expect(try bundle.call(["resume", bundle.id]).code == 0)

            try bundle.killAndDelete()
            #expect(bundle.cgroupsLeft().isEmpty)
            #expect(try bundle.call(["state", bundle.id]).output == "container does not exist\n")
            #expect(try bundle.call(["delete", bundle.id]).code == 1)
            #expect(try bundle.call(["delete", "--force", bundle.id]).code == 0)
        }
    }

    @Test("a container that was created and never started can be deleted")
    func neverStarted() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            try bundle.write(bundle.spec("sleep 600"))
            #expect(try bundle.call(["create", "--bundle", bundle.directory.string, bundle.id]).code == 0)
            #expect(try bundle.call(["delete", bundle.id]).code == 0)
            #expect(bundle.cgroupsLeft().isEmpty)
        }
    }

    @Test("run answers the exit code, also of a killed process, and passes signals on")
    func exitCodes() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            #expect(try bundle.run(bundle.spec("exit 42")).code == 42)
            #expect(try bundle.run(bundle.spec("sh -c 'kill -9 $$'; exit $?")).code == 137)
            // The first process of a pid namespace is killed by nothing of its own; from outside it is.
            try bundle.write(bundle.spec("trap 'exit 9' TERM; while :; do sleep 0.01; done"))
            #expect(try bundle.call(["run", "-d", "--bundle", bundle.directory.string, bundle.id]).code == 0)
            let process = try openProcess(Int32(truncatingIfNeeded: try bundle.state()["pid"]?.integer ?? 0))
            #expect(try bundle.call(["kill", bundle.id]).code == 0)
            var waiting = pollfd(fd: process.raw, events: Int16(POLLIN), revents: 0)
            #expect(poll(&waiting, 1, 10_000) == 1)
            #expect(try bundle.call(["kill", bundle.id]).output == "container not running\n")
            #expect(try bundle.call(["kill", "--all", bundle.id]).code == 0)
        }
    }

    @Test(
        "programs that cannot be started are told in runc's words",
        arguments: [
            ("nosuch", "exec: \"nosuch\": executable file not found in $PATH"),
            ("/nosuch", "exec: \"/nosuch\": stat /nosuch: no such file or directory"),
            ("/etc/hosts", "exec: \"/etc/hosts\": permission denied"),
            ("/tmp", "exec: \"/tmp\": is a directory"),
            ("/bin/text", "exec /bin/text: exec format error"),
        ])
    func notStarted(program: String, message: String) throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            for (path, mode) in [("etc/hosts", mode_t(0o644)), ("bin/text", 0o755)] {
                let file = try OwnedFD.open(bundle.rootfs.appending(path), [.writeOnly, .create], mode: mode)
                try file.writeAll(Array("nothing to execute\n".utf8))
            }
            var spec = bundle.spec()
            spec.process.args = [program]
            let run = try bundle.run(spec)
            #expect(run.code == 1 && run.output == "runc run failed: unable to start container process: \(message)\n")
            #expect(bundle.cgroupsLeft().isEmpty)
            try bundle.startSleeping(bundle.spec())
            let exec = try bundle.call(["exec", bundle.id, program])
            #expect(exec.code == 255 && exec.output == "exec failed: unable to start container process: \(message)\n")
        }
    }

    @Test("errors go to the log as containerd reads them")
    func errorLog() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            let log = bundle.directory.appending("log.json")
            #expect(try bundle.call(["--log", log.string, "--log-format", "json", "start", "nobody"]).code == 1)
            let record = try JSONValue.parse(try OwnedFD.open(log, .readOnly).readAll(limit: 10_000))
            #expect(record["level"] == "error" && record["msg"] == "container does not exist")
        }
    }

    @Test("ids that could be paths are refused", arguments: ["../x", "a/b", "", ".", "..", "a b", "ä", String(repeating: "x", count: 4096)])
    func ids(id: String) throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            try bundle.write(bundle.spec())
            let outcome = try bundle.call(["create", "--bundle", bundle.directory.string, "--", id])
            #expect(outcome.code == 1 && outcome.output.contains("invalid container ID format"))
        }
    }

    @Test("a terminal goes to the console socket, and the container's side is in the container's devpts")
    func terminal() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec("tty; stat -c %t:%T /dev/console; stty size 2>/dev/null; read line; echo got $line")
            spec.process.terminal = true
            try bundle.write(spec)
            let refused = try bundle.call(["create", "--bundle", bundle.directory.string, bundle.id])
            #expect(refused.output.contains("without setting console socket"))
            let listener = try UnixListener(name: "console", in: try OwnedFD.open(bundle.directory, [.path, .directory]))
            let socket = bundle.directory.appending("console")
            let created = try bundle.call(["create", "--bundle", bundle.directory.string, "--console-socket", socket.string, bundle.id])
            #expect(created.code == 0, "\(created.output)")
            guard let accepted = try listener.accept(), var message = try Channel(adopting: accepted).receive(),
                let terminal = message.takeDescriptor()
            else {
                Issue.record("no terminal came")
                return
            }
            #expect(message.bytes == Array("/dev/ptmx".utf8))
            #expect(try bundle.call(["start", bundle.id]).code == 0)
            try terminal.writeAll(Array("hello\n".utf8))
            // A terminal whose other side is gone answers with an error instead of an end.
            var output: [UInt8] = []
            var byte: UInt8 = 0
            while read(terminal.raw, &byte, 1) == 1 { output.append(byte) }
            let text = String(decoding: output, as: UTF8.self)
            #expect(text.contains("/dev/pts/0") && text.contains("88:0") && text.contains("got hello"), "\(text)")
        }
    }

    @Test("bind mounts come with their attributes, on directories and files that did not exist")
    func binds() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec(
                "cat /new/file; (echo x > /new/file) 2>/dev/null || echo refused; ls /deep/in/dir; touch /deep/in/dir/made; grep -c ' /deep/in/dir .*nosuid' /proc/self/mountinfo"
            )
            let (file, directory) = (bundle.directory.appending("file"), bundle.directory.appending("shared"))
            try writeAtomically(Array("content\n".utf8), to: file, sync: false)
            try makeDirectories(directory)
            spec.mounts += [
                .init(destination: "/new/file", type: "bind", source: file.string, options: ["rbind", "ro"]),
                .init(destination: "/deep/in/dir", type: "bind", source: directory.string, options: ["rbind", "nosuid", "rprivate"]),
            ]
            let outcome = try bundle.run(spec)
            #expect(outcome.lines == ["content", "refused", "1"], "\(outcome.output)")
            #expect(access(directory.appending("made").string, F_OK) == 0)
        }
    }

    @Test("a read-only root cannot be written, its mounts can")
    func readOnlyRoot() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec("touch /x 2>/dev/null || echo refused; touch /dev/shm/x && echo fine")
            spec.root.readonly = true
            #expect(try bundle.run(spec).lines == ["refused", "fine"])
        }
    }

    @Test("many containers after one another leave no mount, cgroup or process")
    func nothingLeft() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            for _ in 0..<20 { #expect(try bundle.run(bundle.spec()).code == 0) }
            #expect(bundle.cgroupsLeft().isEmpty)
            #expect(!mountedPaths().contains { $0.contains(bundle.directory.string) })
        }
    }
}
