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
        case .running: break
        case .stopped: throw RuntimeError("cannot exec in a stopped container", exitCode: 255)
        case .paused: throw RuntimeError("cannot exec in a paused container", exitCode: 255)
        case .created: throw RuntimeError("cannot exec in a container that has not been started", exitCode: 255)
        }
        do {
            try request.check(terminal: process.terminal, staysAlone: request.detach)
            let signals = request.detach ? nil : HeldSignals(try SignalDescriptor())
            var launched = try launchExec(
                process, in: state.pid, of: try config(id),
                LaunchOptions(
                    id: id, stdio: process.terminal ? .terminal : .descriptors(input: 0, output: 1, error: 2),
                    bundle: FilePath(state.bundle), cgroup: try state.cgroupPath.isEmpty ? nil : Cgroup.open(path: state.cgroupPath),
                    diesWithParent: false,
                    preservedDescriptors: request.preservedDescriptors))
            do {
                try launched.waitUntilReady()
                try request.deliver(&launched)
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
}
