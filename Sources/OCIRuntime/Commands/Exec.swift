import Linux
public import OCI
import SystemPackage

extension RuntimeRoot {
    /// The process of an exec without a description of its own: the container's, with other arguments.
    public func execProcess(_ id: String, arguments: [String]) throws -> RuntimeSpec.Process {
        _ = try load(id)
        var process = try config(id).process
        process.args = arguments
        process.terminal = false
        process.consoleSize = nil
        return process
    }

    /// `exec`: one more process in a running container. Answers its exit code, with `detach` 0 as soon as it runs.
    public func exec(_ id: String, _ process: RuntimeSpec.Process, _ request: ProcessRequest) throws -> Int32 {
        let state = try load(id)
        switch status(state) {
        case .running, .created: break
        case .stopped: throw RuntimeError("cannot exec in a stopped container", exitCode: 255)
        case .paused where request.ignoresPause: break
        case .paused: throw RuntimeError("cannot exec in a paused container (use --ignore-paused to override)", exitCode: 255)
        }
        do {
            try request.check(terminal: process.terminal, staysAlone: request.detach)
            let signals = request.detach ? nil : HeldSignals(try SignalDescriptor())
            let cgroup = try execGroup(state, request.subgroups)
            let isSystemds = state.scope?.isUser == true && request.subgroups.isEmpty
            let (spec, filter) = try launchConfig(id)
            var options = LaunchOptions(
                id: id, stdio: process.terminal ? .terminal : .descriptors(input: 0, output: 1, error: 2),
                bundle: FilePath(state.bundle), cgroup: isSystemds ? nil : cgroup, diesWithParent: false,
                preservedDescriptors: request.inheritedDescriptors)
            options.filter = filter
            var launched = try launchExec(process, in: state.pid, startTime: state.startTime, of: spec, options)
            do {
                try launched.waitUntilReady()
                if isSystemds { try state.scope?.attach(launched.pid) }
                try request.deliver(&launched, as: "setns")
                let foreground = try ForegroundTerminal(launched.takeTerminal())
                try launched.open()
                guard let signals else { return 0 }
                return try foreground.wait(for: launched, signals: signals).code
            } catch {
                launched.abandon()
                throw error
            }
        } catch let error as LaunchError {
            throw RuntimeError("unable to start container process: \(error.message)", exitCode: 255)
        }
    }
    /// The container's group, or one below it for all or some controllers: `[CONTROLLER,…:]PATH`.
    private func execGroup(_ state: ContainerState, _ subgroups: [String]) throws -> Cgroup? {
        if state.cgroupPath.isEmpty {
            if !subgroups.isEmpty { throw RuntimeError("container \(state.id) has no cgroup of its own", exitCode: 255) }
            return nil
        }
        var cgroup = try Cgroup.open(path: state.cgroupPath)
        for text in subgroups {
            let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let controllers = parts.count == 2 ? parts[0].split(separator: ",").map(String.init) : []
            do {
                cgroup = try cgroup.descendant(String(parts[parts.count - 1]), controllers: controllers)
            } catch {
                throw RuntimeError("invalid --cgroup argument \(text): \(error)", exitCode: 255)
            }
        }
        return cgroup
    }
}
