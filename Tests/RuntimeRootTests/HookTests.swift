import Glibc
import Linux
import OCI
import SystemPackage
import Testing

@Suite("Hooks", .enabled(if: getuid() == 0), .timeLimit(.minutes(1)))
struct HookTests {
    /// A hook of the host that runs a shell script.
    private func hook(_ script: String, env: [String]? = ["PATH=/bin"], timeout: Int64? = nil) -> RuntimeSpec.Hook {
        .init(path: "/bin/busybox", args: ["sh", "-c", script], env: env, timeout: timeout)
    }

    @Test("all six kinds run in their order, where they belong, with the state on their input", arguments: TestBundle.Runtime.installed)
    func order(runtime: TestBundle.Runtime) throws {
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            let log = bundle.directory.appending("log").string
            func note(_ kind: String) -> RuntimeSpec.Hook { hook("read state; echo \"\(kind) $(readlink /proc/self/ns/mnt) $state\" >> \(log)") }
            var spec = bundle.spec("echo program >> /log")
            spec.annotations = ["org.example": "yes"]
            spec.hooks = .init(
                prestart: [note("prestart")], createRuntime: [note("createRuntime")], createContainer: [note("createContainer")],
                startContainer: [
                    .init(
                        path: "/bin/sh", args: ["sh", "-c", "read state; echo \"startContainer $(readlink /proc/self/ns/mnt) $state\" >> /log"],
                        env: ["PATH=/bin"])
                ],
                poststart: [note("poststart")], poststop: [note("poststop")])
            try bundle.write(spec)
            #expect(try bundle.call(["create", "--bundle", bundle.directory.string, bundle.id]).code == 0)
            let process = try openProcess(Int32(truncatingIfNeeded: try bundle.state()["pid"]?.integer ?? 0))
            #expect(try bundle.call(["start", bundle.id]).code == 0)
            var waiting = pollfd(fd: process.raw, events: Int16(POLLIN), revents: 0)
            #expect(poll(&waiting, 1, 10_000) == 1)
            #expect(try bundle.call(["delete", bundle.id]).code == 0)

            let lines = try bundle.read("log").split(separator: "\n").map { $0.split(separator: " ", maxSplits: 2).map(String.init) }
            let inside = try bundle.read("rootfs/log").split(separator: "\n").map { $0.split(separator: " ", maxSplits: 2).map(String.init) }
            let kinds = lines.map { $0[0] }
            #expect(Set(kinds) == ["prestart", "createRuntime", "createContainer", "poststart", "poststop"])
            #expect(Array(kinds.prefix(3)) == ["prestart", "createRuntime", "createContainer"] && kinds.last == "poststop")
            #expect(inside.map { $0[0] } == ["startContainer", "program"])
            let host = lines[0][1]
            let namespaces = Dictionary(uniqueKeysWithValues: (lines + inside.prefix(1)).map { ($0[0], $0[1]) })
            for kind in ["createRuntime", "poststart", "poststop"] { #expect(namespaces[kind] == host, "\(kind)") }
            #expect(namespaces["createContainer"] != host && namespaces["createContainer"] == namespaces["startContainer"])

            let statuses = try Dictionary(
                uniqueKeysWithValues: (lines + inside.prefix(1)).map { line in
                    let state = try JSONValue.parse(Array(line[2].utf8))
                    #expect(state["id"]?.string == bundle.id && state["bundle"]?.string == bundle.directory.string)
                    #expect(state["annotations"]?["org.example"] == "yes")
                    return (line[0], state["status"]?.string ?? "")
                })
            for kind in ["prestart", "createRuntime", "createContainer"] { #expect(statuses[kind] == "creating", "\(kind)") }
            #expect(statuses["startContainer"] == "created" && statuses["poststop"] == "stopped")
            if runtime == .skiff { #expect(statuses["poststart"] == "running") }
        }
    }

    @Test("pids are those of the place where a hook runs", arguments: TestBundle.Runtime.installed)
    func pids(runtime: TestBundle.Runtime) throws {
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            let log = bundle.directory.appending("log").string
            var spec = bundle.spec("true")
            spec.hooks = .init(
                createRuntime: [hook("readlink /proc/$(tr , '\\n' | grep '\"pid\"' | tr -dc 0-9)/ns/pid > \(log)")],
                createContainer: [hook("tr , '\\n' | grep '\"pid\"' | tr -dc 0-9 >> \(log)")])
            #expect(try bundle.run(spec).code == 0)
            let lines = try bundle.read("log").split(separator: "\n")
            #expect(lines.count == 2 && lines[0].hasPrefix("pid:[") && lines[1] == "1", "\(lines)")
        }
    }

    @Test("before the root is changed the container's mounts lie below the root's path", arguments: TestBundle.Runtime.installed)
    func mounts(runtime: TestBundle.Runtime) throws {
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            let root = bundle.rootfs.string
            var spec = bundle.spec("cat /added/file; cat /etc/early")
            let source = try bundle.write("from a hook\n", to: "source")
            try makeDirectories(bundle.rootfs.appending("added"), mode: 0o755)
            _ = try bundle.write("", to: "rootfs/added/file")
            _ = try bundle.write("early\n", to: "rootfs/etc/early")
            spec.hooks = .init(
                createContainer: [hook("mount -o bind \(source) \(root)/added/file && test -e \(root)/proc/self/status")])
            #expect(try bundle.lines(spec) == ["from a hook", "early"])
            #expect(!mountedPaths().contains { $0.contains("/added/file") })
        }
    }

    @Test("the arguments begin with the name, the environment is the hook's own or that of the place")
    func environment() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            let log = bundle.directory.appending("log").string
            var spec = bundle.spec("cat /log")
            spec.process.env.append("INSIDE=yes")
            spec.hooks = .init(
                createRuntime: [
                    .init(path: "/bin/busybox", args: ["env"], env: ["ONE=1"]), hook("echo \"$ONE/$INSIDE/$PATH\" > \(log)", env: nil),
                    hook("env >> \(log)", env: []),
                ],
                startContainer: [.init(path: "/bin/sh", args: ["sh", "-c", "echo $INSIDE > /log"])])
            #expect(try bundle.lines(spec) == ["yes"])
            let lines = try bundle.read("log").split(separator: "\n").map(String.init)
            #expect(lines.first == "//" + TestBundle.environment[0].dropFirst(5))
            #expect(!lines.contains { $0.hasPrefix("PATH=/usr") })
        }
    }

    @Test(
        "a hook that fails stops the start, says what it said, and leaves nothing",
        arguments: ["prestart", "createRuntime", "createContainer", "startContainer"])
    func failures(kind: String) throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec("echo ran")
            let log = bundle.directory.appending("log").string
            let bad = [RuntimeSpec.Hook(path: "/bin/busybox", args: ["sh", "-c", "echo out; echo err >&2; exit 3"], env: [])]
            switch kind {
            case "prestart": spec.hooks = .init(prestart: bad)
            case "createRuntime": spec.hooks = .init(createRuntime: bad)
            case "createContainer": spec.hooks = .init(createContainer: bad)
            default: spec.hooks = .init(startContainer: bad)
            }
            spec.hooks?.poststop = [hook("echo stopped >> \(log)")]
            let text = try bundle.refusal(spec)
            #expect(text.contains("error running \(kind) hook #0: exit status 3, stdout: out\n, stderr: err\n"), "\(text)")
            #expect(try bundle.read("log") == "stopped\n")
        }
    }

    @Test("a hook that takes too long is killed with all that it started", arguments: TestBundle.Runtime.installed)
    func timeout(runtime: TestBundle.Runtime) throws {
        try TestBundle.with(runtime) { (bundle: TestBundle) throws in
            var spec = bundle.spec("echo ran")
            spec.hooks = .init(createRuntime: [hook("exec sleep 60", timeout: 1)])
            #expect(try bundle.refusal(spec).contains("hook ran past specified timeout of 1"))
        }
    }

    @Test("programs that are not there are told by their path")
    func missing() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec("echo ran")
            spec.hooks = .init(createRuntime: [.init(path: "/no/such/hook")])
            #expect(try bundle.refusal(spec).contains("createRuntime hook #0: fork/exec /no/such/hook: no such file or directory"))
        }
    }

    @Test("a state that is larger than a pipe reaches a hook that reads it, and does not stop one that does not")
    func largeState() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            var spec = bundle.spec("true")
            spec.annotations = ["large": String(repeating: "x", count: 1 << 20)]
            let log = bundle.directory.appending("log").string
            spec.hooks = .init(createRuntime: [hook("true"), hook("wc -c > \(log)")])
            #expect(try bundle.run(spec).code == 0)
            #expect(Int(try bundle.read("log").filter(\.isNumber)) ?? 0 > 1 << 20)
        }
    }

    @Test("a poststart hook that fails stops the container; one after its end only warns, and the next one runs")
    func after() throws {
        try TestBundle.with { (bundle: TestBundle) throws in
            let log = bundle.directory.appending("log").string
            var spec = bundle.spec("sleep 600")
            spec.hooks = .init(poststart: [hook("exit 1")], poststop: [hook("exit 4"), hook("echo stopped >> \(log)")])
            try bundle.write(spec)
            #expect(try bundle.call(["create", "--bundle", bundle.directory.string, bundle.id]).code == 0)
            let process = try openProcess(Int32(truncatingIfNeeded: try bundle.state()["pid"]?.integer ?? 0))
            let start = try bundle.call(["start", bundle.id])
            #expect(start.code == 1 && start.output.contains("error running poststart hook #0: exit status 1"))
            var waiting = pollfd(fd: process.raw, events: Int16(POLLIN), revents: 0)
            #expect(poll(&waiting, 1, 10_000) == 1)
            let delete = try bundle.call(["delete", bundle.id])
            #expect(delete.code == 0 && delete.output.contains("warning: error running poststop hook #0: exit status 4"))
            #expect(try bundle.read("log") == "stopped\n")
        }
    }
}
