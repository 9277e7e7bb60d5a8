import Linux
import OCI
import SystemPackage

extension RuntimeRoot {
    /// `checkpoint`: lets CRIU write the container's processes into images. Afterwards the container is gone, unless it was to
    /// be left running or only its memory was asked for. When this throws it runs as before.
    public func checkpoint(_ id: String, _ request: CheckpointRequest) throws {
        // Before anything is opened, which could get that number.
        try request.checkStatusDescriptor()
        let state = try load(id)
        let before = status(state)
        guard before == .running || before == .paused else {
            throw RuntimeError("Container cannot be checkpointed in \(before.rawValue) state")
        }
        guard CurrentProcess.effectiveUserID == 0 else { throw RuntimeError("checkpoint needs the rights of root, as CRIU does") }
        let process = try openProcess(state.pid)
        // Only now the pid cannot be given to another process any more.
        guard isProcessAlive(state.pid, startTime: state.startTime) else { throw RuntimeError("container not running") }
        let program = try CRIUService.find(criu)
        let spec = try config(id)
        try ExternalNamespaces(spec: spec).check()
        let images = try ImageDirectory(request, isDump: true)
        let group = ContainerGroup(state).cgroup
        try dump(state, spec, request, images, group, program) {
            // CRIU thaws what it has frozen; when it was killed, nobody else does.
            if before == .running, try group?.isFrozen() == true { try group?.thaw() }
        }
        if request.leaveRunning || request.preDump { return }
        try removeDumped(state, process)
    }

    private func dump(
        _ state: ContainerState, _ spec: RuntimeSpec, _ request: CheckpointRequest, _ images: ImageDirectory, _ group: Cgroup?,
        _ program: FilePath, undo: () throws -> Void
    ) throws {
        var options = request.options(images, log: "dump.log")
        options.put(2, Int(state.pid))
        options.put(13, state.rootfs)
        request.putDumpOptions(&options)
        if let directory = group?.freezerDirectory { options.put(44, directory.string) }
        try ExternalNamespaces(spec: spec).putPlaces(state.pid, &options)
        if !request.preDump {
            try ExternalMounts(spec: spec).putPlaces(state.pid, &options)
            let streams = try StandardStreams.names(of: state.pid)
            StandardStreams.putExternals(streams, &options)
            try images.write(streams: streams)
        }
        let service = try CRIUService(program)
        do {
            try service.check(version: request.neededVersion(spec))
            if request.preDump { try service.check(feature: 1, "MemTrack") }
            if request.lazyPages { try service.check(feature: 2, "LazyPages") }
            let kind: CRIUService.Kind = request.preDump ? .preDump : .dump
            let answer = try service.ask(kind, options) { if $0.script == "status-ready" { try request.tellReady() } }
            guard answer.number(2) == 1 else { throw CRIUFailure(kind: kind, answer: answer) }
            let end = service.end()
            // After a pre-dump it has waited for the dump that belongs to it, and takes our going for a failure.
            if !request.preDump, end != .exited(0) { throw CRIUFailure(kind: kind, text: "exit status \(end?.code ?? -1)") }
        } catch {
            service.end()
            try? undo()  // The first error is the one to tell.
            if let failure = error as? CRIUFailure { throw images.explain(failure, service) }
            throw error
        }
    }

    /// CRIU has killed all of its processes. What is left goes as with `delete`.
    private func removeDumped(_ state: ContainerState, _ process: borrowing OwnedFD) throws {
        let epoll = try Epoll()
        try epoll.add(process.raw, .readable, token: 0)
        guard try !epoll.wait(milliseconds: 10_000).isEmpty else { throw RuntimeError("container init still running") }
        try delete(state.id, force: true)
    }
}

extension Cgroup {
    /// Where its processes are frozen; nil on version 1 without that hierarchy.
    var freezerDirectory: FilePath? {
        switch view {
        case .whole(let directory): directory
        case .hierarchies(let all, _): all.first { $0.name == "freezer" }?.directory
        }
    }
}
