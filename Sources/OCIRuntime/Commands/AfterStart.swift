import Linux
import OCI

extension RuntimeRoot {
    /// The hooks of a program that runs. When one fails the container is stopped.
    func runPoststart(_ state: ContainerState, _ spec: RuntimeSpec) throws {
        let hooks = HookRun(.poststart, of: spec)
        if hooks.hooks.isEmpty { return }
        do {
            try hooks.runAll(ReportedState(state).json(.running, pid: state.pid))
        } catch {
            try? kill(state.id, .kill, all: true)  // It may have ended meanwhile.
            throw error
        }
    }
}

extension ReportedState {
    /// The hooks of a container that is gone. What fails is told and changes nothing.
    func runPoststop(_ spec: RuntimeSpec) {
        let hooks = HookRun(.poststop, of: spec)
        if hooks.hooks.isEmpty { return }
        for failure in hooks.runEach(json(.stopped, pid: 0)) {
            // Whoever does not want to hear it has closed the descriptor.
            try? StandardStream.error.write("warning: \(failure)\n")
        }
    }
}

extension RuntimeSpec {
    /// Removes what was made for a container outside of its cgroup and its directory.
    func removeResourceDirectory(_ id: String) {
        guard let wanted = linux.intelRdt else { return }
        // A file system that is not mounted any more holds nothing.
        try? ResourceDirectory(wanted, id: id).removeOwn()
    }
}
