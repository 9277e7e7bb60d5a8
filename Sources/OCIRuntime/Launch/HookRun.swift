import Linux
import OCI
import SystemPackage

/// The points of a container's life at which programs run, in the order of their coming.
enum HookKind: String {
    case prestart, createRuntime, createContainer, startContainer, poststart, poststop

    func hooks(of spec: RuntimeSpec) -> [RuntimeSpec.Hook] {
        guard let hooks = spec.hooks else { return [] }
        switch self {
        case .prestart: return hooks.prestart
        case .createRuntime: return hooks.createRuntime
        case .createContainer: return hooks.createContainer
        case .startContainer: return hooks.startContainer
        case .poststart: return hooks.poststart
        case .poststop: return hooks.poststop
        }
    }

    static let all: [HookKind] = [.prestart, .createRuntime, .createContainer, .startContainer, .poststart, .poststop]
}

/// Runs the programs of one point, one after another, with the container's state on their standard input.
struct HookRun {
    let kind: HookKind
    let hooks: [RuntimeSpec.Hook]
    /// Of hooks that have none of their own.
    let environment: [String]

    init(_ kind: HookKind, of spec: RuntimeSpec, environment: [String] = CurrentProcess.environment) {
        self.kind = kind
        hooks = kind.hooks(of: spec)
        self.environment = environment
    }

    /// What is wrong with the hooks of a configuration.
    static func check(_ spec: RuntimeSpec) throws(LaunchError) {
        for kind in HookKind.all {
            for (index, hook) in kind.hooks(of: spec).enumerated() {
                guard hook.path.hasPrefix("/") else {
                    throw LaunchError(message: "\(kind.rawValue) hook #\(index): path \"\(hook.path)\" is not absolute")
                }
                if let timeout = hook.timeout, timeout <= 0 {
                    throw LaunchError(message: "\(kind.rawValue) hook #\(index): timeout must be greater than zero")
                }
            }
        }
    }

    /// Stops at the first one that fails.
    func runAll(_ state: JSONValue) throws(LaunchError) {
        for index in hooks.indices {
            if let failure = run(index, state) { throw failure }
        }
    }

    /// Goes on whatever fails; answers what did.
    func runEach(_ state: JSONValue) -> [LaunchError] {
        hooks.indices.compactMap { run($0, state) }
    }

    private func run(_ index: Int, _ state: JSONValue) -> LaunchError? {
        let hook = hooks[index]
        let reason: String
        do {
            let program = CapturedProgram(path: FilePath(hook.path), arguments: hook.args, environment: hook.env ?? environment)
            let end = try program.run(input: state.serialized(), seconds: hook.timeout)
            switch end.status {
            case nil: reason = "hook ran past specified timeout of \(hook.timeout ?? 0)s"
            case .exited(0)?: return nil
            case .exited(let code)?: reason = "exit status \(code), \(end.output)"
            case .signaled(let signal)?: reason = "signal: \(Signal(rawValue: signal)), \(end.output)"
            }
        } catch {
            reason = error.errno == .noSuchFileOrDirectory ? "fork/exec \(hook.path): \(error.errno.goText)" : "\(error)"
        }
        return LaunchError(message: "error running \(kind.rawValue) hook #\(index): \(reason)")
    }
}

/// A program that is waited for, with its input and output in memory: neither side can keep the other one waiting.
struct CapturedProgram {
    let path: FilePath
    /// With the program's own name in front; that of the path where there is none.
    let arguments: [String]
    let environment: [String]

    struct End {
        /// nil: it was killed when its time was over.
        let status: ExitStatus?
        let output: String
    }

    func run(input: [UInt8] = [], seconds: Int64? = nil) throws(SystemError) -> End {
        let stdin = try memoryFile("input")
        try stdin.writeAll(input)
        try stdin.rewind()
        let stdout = try memoryFile("output")
        let stderr = try memoryFile("error")
        let pid = try spawn(
            path, named: arguments.first, arguments: Array(arguments.dropFirst()), environment: environment,
            descriptors: [stdin.raw, stdout.raw, stderr.raw])
        var isOver = false
        if let seconds {
            let process = try openProcess(pid)
            let epoll = try Epoll()
            try epoll.add(process.raw, .readable, token: 0)
            isOver = try epoll.wait(milliseconds: Int32(clamping: seconds.multipliedReportingOverflow(by: 1000).partialValue)).isEmpty
            // With all that it has started: it leads a session of its own.
            if isOver { try kill(-pid, .kill) }
        }
        let status = try reap(pid)
        return End(
            status: isOver ? nil : status,
            output: "stdout: \(try Self.text(stdout)), stderr: \(try Self.text(stderr))")
    }

    /// The first lines, enough for a message.
    private static func text(_ file: borrowing OwnedFD) throws(SystemError) -> String {
        String(decoding: try file.read(at: 0, count: 4096), as: UTF8.self)
    }
}
