import Glibc
import Linux
import OCI
import SystemPackage
import Testing

/// A supervisor that was started for one test, with its directory.
final class Supervised {
    let id: String
    let directory: FilePath
    let supervisor: pid_t
    let control: Client
    private(set) var pid: pid_t = 0
    private var isReaped = false

    static let cgroupParent = "/skiff-supervise-test"

    /// `skiff-runtime` of the environment, or the one that was built beside the tests.
    static let runtime: FilePath = {
        if let path = getenv("SKIFF_RUNTIME") { return FilePath(String(cString: path)) }
        let tests = (try? CurrentProcess.executable()) ?? "/"
        return tests.removingLastComponent().appending("skiff-runtime")
    }()

    struct Settings {
        var arguments: [String]
        var terminal = false
        var options: [String] = []
        var resources = RuntimeSpec.Resources()
        var log: String?
        var cgroup = true
        var program = Supervised.runtime

        init(_ arguments: [String], terminal: Bool = false, options: [String] = []) {
            self.arguments = arguments
            self.terminal = terminal
            self.options = options
        }

        static func shell(_ script: String, terminal: Bool = false, options: [String] = []) -> Settings {
            Settings(["/bin/sh", "-c", script], terminal: terminal, options: options)
        }
    }

    convenience init(_ settings: Settings) throws {
        let id = "t\(getpid())-\(UInt32.random(in: 0 ... .max))"
        let spec = Self.spec(settings, cgroup: settings.cgroup ? "\(Self.cgroupParent)/\(id)" : nil)
        let directory = Bundle.shared.directory.appending(id)
        let log = settings.log ?? directory.appending("log").string
        try self.init(id, config: spec.json(), options: ["--log", log] + settings.options, program: settings.program)
    }

    /// A process in a container that runs.
    convenience init(exec process: RuntimeSpec.Process, in container: Supervised, options: [String] = []) throws {
        try self.init(
            "\(container.id)-\(UInt32.random(in: 0 ... .max))", config: process.json(),
            options: ["--exec", "--container-pid", "\(container.pid)", "--container-dir", container.directory.string] + options)
    }

    private init(_ id: String, config: JSONValue, options: [String], program: FilePath = runtime) throws {
        self.id = id
        directory = Bundle.shared.directory.appending(id)
        try makeDirectories(directory)
        try writeAtomically(config.serialized(), to: directory.appending("config.json"), sync: false)
        let null = try OwnedFD.open("/dev/null", .readWrite)
        let report = try OwnedFD.open(directory.appending("supervisor.log"), [.writeOnly, .create, .append])
        let pair = try SocketPair().take()
        control = Client(OwnedFD(adopting: dup(pair.first.raw)))
        supervisor = try spawn(
            program,
            arguments: ["supervise", "--id", id, "--dir", directory.string, "--control-fd", "3"] + options,
            environment: [], descriptors: [null.raw, report.raw, report.raw, pair.second.raw])
    }

    deinit {
        if !isReaped {
            kill(supervisor, SIGKILL)
            _ = try? reap(supervisor)
        }
        try? removeTree(directory)
    }

    private static func spec(_ settings: Settings, cgroup: String?) -> RuntimeSpec {
        let kinds: [RuntimeSpec.Namespace.Kind] = [.pid, .mount, .ipc, .uts, .network]
        return RuntimeSpec(
            process: process(settings.arguments, terminal: settings.terminal),
            root: .init(path: Bundle.shared.root.string),
            mounts: [
                .init(destination: "/proc", type: "proc", source: "proc"),
                .init(destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"]),
                .init(
                    destination: "/dev/pts", type: "devpts", source: "devpts",
                    options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
            ],
            linux: .init(
                namespaces: kinds.map { .init(type: $0) }, cgroupsPath: cgroup, resources: settings.resources))
    }

    static func process(_ arguments: [String], terminal: Bool = false) -> RuntimeSpec.Process {
        RuntimeSpec.Process(terminal: terminal, args: arguments, env: ["PATH=/bin"], cwd: "/")
    }

    /// Waits for the first process.
    func created() throws {
        let frame = try #require(try control.next())
        try #require(frame.type == 0x20, "\(frame.text)")
        pid = pid_t(frame.payload.reduce(0) { $0 << 8 | UInt32($1) })
    }

    /// Attaches the control connection to all output, lets the program begin and waits until it has.
    func start(attached: Bool = true) throws {
        try created()
        if attached {
            try control.send(0x10, [3])
            #expect(try control.next()?.type == 0x24)
        }
        try control.send(0x13)
        let frame = try control.next()
        try #require(frame?.type == 0x21, "\(frame?.text ?? "end")")
    }

    func connect() throws -> Client {
        Client(try connectUnix(name: "supervisor.sock", in: directory))
    }

    /// Waits until the supervisor has ended and looks that nothing of it is left.
    @discardableResult
    func end() throws -> Linux.ExitStatus {
        let status = try reap(supervisor)
        isReaped = true
        #expect(access(directory.appending("supervisor.sock").string, F_OK) == -1)
        #expect(throws: SystemError.self) { try Cgroup.open(path: "\(Self.cgroupParent)/\(id)") }
        if pid > 0 { #expect(kill(pid, 0) == -1) }
        let report = try String(decoding: file("supervisor.log"), as: UTF8.self)
        #expect(report == "" || expectsReport)
        return status
    }

    var expectsReport = false

    func kill9() throws {
        kill(supervisor, SIGKILL)
        _ = try reap(supervisor)
        isReaped = true
    }

    func file(_ name: String) throws -> [UInt8] {
        try OwnedFD.open(directory.appending(name), .readOnly).readAll(limit: 64 << 20)
    }

    func size(_ name: String) -> Int {
        var status = stat()
        return stat(directory.appending(name).string, &status) == 0 ? Int(status.st_size) : 0
    }

    func exists(_ name: String) -> Bool { access(directory.appending(name).string, F_OK) == 0 }

    /// The entries of the log, each as JSON.
    func log() throws -> [JSONValue] {
        try file("log").split(separator: UInt8(ascii: "\n")).map { try JSONValue.parse(Array($0)) }
    }
}

/// A root file system with nothing but busybox, shared by all tests.
final class Bundle: Sendable {
    static let shared = Bundle()

    let directory: FilePath
    let root: FilePath

    private init() {
        directory = FilePath("/tmp/skiff-supervise-tests-\(getpid())")
        root = directory.appending("rootfs")
        do {
            for name in ["bin", "proc", "dev", "tmp"] { try makeDirectories(root.appending(name), mode: 0o755) }
            let program = try OwnedFD.open("/bin/busybox", .readOnly).readAll(limit: 64 << 20)
            try writeAtomically(program, to: root.appending("bin/busybox"), mode: 0o755, sync: false)
            for name in ["sh", "cat", "echo", "sleep", "printf", "head", "dd", "stty", "tr", "seq", "tail", "wc", "awk"] {
                try check("symlink") { symlink("busybox", root.appending("bin").appending(name).string) }
            }
        } catch {
            Issue.record("bundle is not made: \(error)")
        }
        atexit { try? removeTree(Bundle.shared.directory) }
    }
}
