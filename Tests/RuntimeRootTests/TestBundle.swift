import Glibc
import Linux
import OCI
import Synchronization
import SystemPackage
import Testing

/// A bundle with busybox in a directory of its own, a state directory for the runtime, and a way to call it. Everything
/// is removed at the end, which also checks that the runtime has left nothing.
final class TestBundle: Sendable {
    let directory: FilePath
    let id: String
    /// The runtime that the bundle is given to.
    let runtime: Runtime
    /// A program that calls the runtime, with its arguments; empty: the test itself does.
    let caller = Mutex<[String]>([])

    /// Ours, and runc where it is installed: what is expected of both proves that the expectation is right.
    enum Runtime: String, CaseIterable, CustomTestStringConvertible {
        case skiff = "skiff-runtime"
        case runc

        var testDescription: String { rawValue }

        var program: FilePath { self == .skiff ? TestBundle.program : "/usr/sbin/runc" }

        static let installed = allCases.filter { $0 == .skiff || access($0.program.string, X_OK) == 0 }
    }

    var rootfs: FilePath { directory.appending("rootfs") }
    private var states: FilePath { directory.appending("states") }

    static func with(_ runtime: Runtime = .skiff, _ body: (TestBundle) throws -> Void) throws {
        let bundle = try TestBundle(runtime)
        defer { bundle.remove() }
        try body(bundle)
    }

    private init(_ runtime: Runtime) throws {
        self.runtime = runtime
        id = "test-\(String(UInt64.random(in: .min ... .max), radix: 36))"
        directory = FilePath("/tmp/skiff-runtime-\(id)")
        try makeDirectories(directory.appending("rootfs").appending("bin"), mode: 0o755)
        // The temporary directory's mode is for root alone; a container's user has to get through.
        for path in [directory, rootfs, rootfs.appending("bin")] { chmod(path.string, 0o755) }
        for name in ["proc", "sys", "dev", "etc", "tmp"] { mkdir(rootfs.appending(name).string, 0o755) }
        try Self.copyBusybox(to: rootfs.appending("bin/busybox"))
        for name in Self.commands {
            symlink("busybox", rootfs.appending("bin/\(name)").string)
        }
    }

    private static let commands = [
        "sh", "ls", "cat", "true", "sleep", "id", "mkdir", "touch", "readlink", "grep", "stat", "hostname", "head", "tty", "chrt",
        "ionice", "taskset", "uname", "mount", "umount", "ip", "env", "dd", "wc", "rm", "mv", "ln", "chmod", "mknod", "nproc",
        "awk", "tr", "cut", "echo", "printf", "test", "sort", "cp", "mkfifo", "kill", "ps", "date", "domainname",
    ]

    private static func copyBusybox(to path: FilePath) throws {
        try #require(access("/bin/busybox", X_OK) == 0, "these tests need the static busybox (package busybox-static)")
        let source = try OwnedFD.open("/bin/busybox", .readOnly)
        let target = try OwnedFD.open(path, [.writeOnly, .create], mode: 0o755)
        while copy_file_range(source.raw, nil, target.raw, nil, 16 << 20, 0) > 0 {}
        try fchmod(target, mode: 0o755)
    }

    /// The program under test: named by SKIFF_RUNTIME, or built beside the tests.
    static let program: FilePath = {
        if let named = getenv("SKIFF_RUNTIME") { return FilePath(String(cString: named)) }
        // Without procfs no test here would work anyway.
        let tests = (try? CurrentProcess.executable()) ?? "/"
        return tests.removingLastComponent().appending("skiff-runtime")
    }()

    static let environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]

    struct Outcome {
        let code: Int32
        let output: String
        var lines: [String] { output.split(separator: "\n").map(String.init) }
    }

    /// Calls the runtime; standard output and error come back together.
    func call(_ arguments: [String], extraDescriptors: [Int32] = []) throws -> Outcome {
        let path = directory.appending("output-\(UInt64.random(in: .min ... .max))")
        let output = try OwnedFD.open(path, [.readWrite, .create, .exclusive, .append], mode: 0o644)
        let null = try OwnedFD.open("/dev/null", .readOnly)
        let words = caller.withLock { $0 } + [runtime.program.string, "--root", states.string] + arguments
        let pid = try spawn(
            FilePath(words[0]), arguments: Array(words.dropFirst()), environment: Self.environment,
            descriptors: [null.raw, output.raw, output.raw] + extraDescriptors)
        let end = try reap(pid)
        let text = try OwnedFD.open(path, .readOnly).readAll(limit: 1 << 20)
        return Outcome(code: end.code, output: String(decoding: text, as: UTF8.self))
    }

    func write(_ spec: RuntimeSpec) throws {
        try write(spec.json().serialized())
    }

    func write(_ config: [UInt8]) throws {
        try writeAtomically(config, to: directory.appending("config.json"), mode: 0o644, sync: false)
    }

    /// `run` with this configuration.
    func run(_ spec: RuntimeSpec, extraDescriptors: [Int32] = []) throws -> Outcome {
        try write(spec)
        return try call(["run", "--bundle", directory.string, id], extraDescriptors: extraDescriptors)
    }

    /// `run` whose outcome has to be a success; answers the lines.
    func lines(_ spec: RuntimeSpec) throws -> [String] {
        let outcome = try run(spec)
        try #require(outcome.code == 0, "\(outcome.output)")
        return outcome.lines
    }

    /// `run` that has to be refused before anything of the container ran; answers what was said.
    func refusal(_ spec: RuntimeSpec) throws -> String {
        let outcome = try run(spec)
        #expect(outcome.code != 0 && !outcome.lines.contains("ran"), "\(outcome.output)")
        #expect(cgroupsLeft().isEmpty)
        #expect(try call(["state", id]).code != 0)
        return outcome.output
    }

    /// A file beside the root file system.
    func write(_ text: String, to name: String, mode: UInt32 = 0o644) throws -> FilePath {
        let path = directory.appending(name)
        let file = try OwnedFD.open(path, [.writeOnly, .create, .truncate], mode: mode)
        try file.writeAll(Array(text.utf8))
        try fchmod(file, mode: mode)
        return path
    }

    func read(_ name: String) throws -> String {
        String(decoding: try OwnedFD.open(directory.appending(name), .readOnly).readAll(limit: 1 << 20), as: UTF8.self)
    }

    /// Creates and starts a container that sleeps.
    func startSleeping(_ spec: RuntimeSpec) throws {
        var spec = spec
        spec.process.args = ["sleep", "600"]
        try write(spec)
        let created = try call(["create", "--bundle", directory.string, id])
        try #require(created.code == 0, "\(created.output)")
        try #require(try call(["start", id]).code == 0)
    }

    func state() throws -> JSONValue {
        try JSONValue.parse(Array(try call(["state", id]).output.utf8))
    }

    /// Kills the container's process, waits until it is gone, and deletes the container.
    func killAndDelete() throws {
        let pid = Int32(truncatingIfNeeded: try state()["pid"]?.integer ?? 0)
        let process = pid > 0 ? try openProcess(pid) : try OwnedFD.open("/dev/null", .readOnly)
        try #require(try call(["kill", id, "KILL"]).code == 0)
        var waiting = pollfd(fd: process.raw, events: Int16(POLLIN), revents: 0)
        try #require(poll(&waiting, 1, 10_000) == 1)
        #expect(try call(["delete", id]).code == 0)
    }

    var cgroupPath: String { "/skiff-tests/\(id)" }

    /// The cgroup directories of this container that exist, in any hierarchy.
    func cgroupsLeft() -> [String] {
        ["", "memory", "cpu", "pids", "devices", "freezer", "unified"].map { "/sys/fs/cgroup/\($0)\(cgroupPath)" }
            .filter { access($0, F_OK) == 0 }
    }

    private func remove() {
        _ = try? call(["delete", "--force", id])  // Usually it is gone; what is not shows in the checks below.
        #expect(cgroupsLeft().isEmpty)
        #expect(!mountedPaths().contains { $0.contains(directory.string) })
        try? removeTree(directory)  // A left-over of a test in the temporary directory does no harm.
    }
}

/// The mount points that this process sees.
func mountedPaths() -> [String] {
    guard let file = try? OwnedFD.open("/proc/self/mountinfo", .readOnly), let bytes = try? file.readAll(limit: 16 << 20) else {
        return []
    }
    return bytes.split(separator: 0x0A).map { String(decoding: $0, as: UTF8.self) }
}

extension TestBundle {
    static let capabilities = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_NET_BIND_SERVICE"]

    /// What Docker asks for, with a shell that runs a script.
    func spec(_ script: String = "true") -> RuntimeSpec {
        var spec = RuntimeSpec(hostname: "skiff-test")
        spec.process = .init(
            args: ["sh", "-c", script], env: ["PATH=/bin"],
            capabilities: .init(bounding: Self.capabilities, effective: Self.capabilities, permitted: Self.capabilities))
        spec.mounts = [
            .init(destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"]),
            .init(destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            .init(
                destination: "/dev/pts", type: "devpts", source: "devpts",
                options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            .init(destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"]),
            .init(destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro", "nosuid", "noexec", "nodev"]),
            .init(destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"]),
            .init(destination: "/dev/shm", type: "tmpfs", source: "shm", options: ["nosuid", "noexec", "nodev", "mode=1777"]),
        ]
        spec.linux.namespaces = [.mount, .network, .uts, .pid, .ipc, .cgroup].map { .init(type: $0) }
        spec.linux.maskedPaths = [
            "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
            "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
            "/sys/firmware",
        ]
        spec.linux.readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        spec.linux.cgroupsPath = cgroupPath
        spec.linux.resources = .init(pids: .init(limit: 50), devices: [.init(allow: false, access: "rwm")])
        return spec
    }
}

extension Mutex where Value == [String] {
    func set(_ words: [String]) {
        withLock { $0 = words }
    }
}
