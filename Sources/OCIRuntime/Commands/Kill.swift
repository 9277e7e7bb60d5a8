public import Linux
public import OCI
import SystemPackage

extension RuntimeRoot {
    /// `kill`: a signal for the container's first process. With `all` a container that has ended is no error.
    public func kill(_ id: String, _ signal: Signal, all: Bool) throws {
        let state = try load(id)
        guard status(state) != .stopped else {
            if all { return }
            throw RuntimeError("container not running")
        }
        do {
            let process = try openProcess(state.pid)
            // Only now the pid cannot be given to another process any more.
            guard isProcessAlive(state.pid, startTime: state.startTime) else { throw RuntimeError("container not running") }
            // Read before, since whoever stays with the container removes it as soon as it has ended. What cannot be read must
            // not keep the signal: then others may be left.
            let endsAlone = signal != .kill || (try? config(id))?.hasOwnPidNamespace == true
            try sendSignal(signal, to: process)
            // Without a pid namespace of its own a container's other processes outlive the first one.
            if !endsAlone { try ContainerGroup(state).cgroup?.killAll() }
        } catch let error as SystemError where error.errno == .noSuchProcess {
            throw RuntimeError("container not running")
        }
    }

    /// `delete`: removes what is left of a container that has ended; with `force` it is killed first, and need not exist.
    public func delete(_ id: String, force: Bool) throws {
        let state: ContainerState
        do {
            state = try load(id)
        } catch let error as RuntimeError where force {
            if error.description == "container does not exist" { try removeHalfMade(id) }
            return
        }
        switch status(state) {
        case .stopped: break
        case .created: try killAndWait(state)
        case .running where force, .paused where force: try killAndWait(state)
        case let status: throw RuntimeError("cannot delete container \(id) that is not stopped: \(status.rawValue)")
        }
        let spec = try? config(id)  // An unreadable configuration must not keep the container.
        try ContainerGroup(state).remove(killing: spec?.hasOwnPidNamespace != true)
        try removeTree(directory(id))
        if let spec {
            spec.removeResourceDirectory(id)
            ReportedState(state).runPoststop(spec)
        }
    }

    /// What a create that was killed has left: the configuration says which group it would have got.
    private func removeHalfMade(_ id: String) throws {
        guard try lstatIfExists(directory(id)) != nil else { return }
        if let spec = try? config(id) {  // Killed before it was written: then there is nothing else either.
            try ContainerGroup.left(by: spec, id: id, self).remove(killing: true)
            spec.removeResourceDirectory(id)
        }
        try removeTree(directory(id))
    }

    private func killAndWait(_ state: ContainerState) throws {
        let process = try openProcess(state.pid)
        guard isProcessAlive(state.pid, startTime: state.startTime) else { return }
        try sendSignal(.kill, to: process)
        try ContainerGroup(state).cgroup?.killAll()
        let epoll = try Epoll()
        try epoll.add(process.raw, .readable, token: 0)
        guard try !epoll.wait(milliseconds: 10_000).isEmpty else {
            throw RuntimeError("container init still running")
        }
    }

    /// `state`: what the OCI specification calls so, and a little more.
    public func stateJSON(_ id: String) throws -> JSONValue {
        let state = try load(id)
        return state.json(status: status(state), owner: try owner(id))
    }

    /// The name of the user whose container it is, or its number after `#`.
    private func owner(_ id: String) throws -> String {
        guard let uid = try lstatIfExists(directory(id))?.uid else { return "" }
        if uid == 0 { return "root" }
        // Without the file everybody is a number.
        let users = (try? OwnedFD.open("/etc/passwd", .readOnly).readAll(limit: 4 << 20)) ?? []
        for line in users.split(separator: 0x0A) {
            let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            if fields.count > 2, fields[2].elementsEqual("\(uid)".utf8) { return String(decoding: fields[0], as: UTF8.self) }
        }
        return "#\(uid)"
    }

    /// `pause` and `resume`.
    public func setPaused(_ id: String, _ paused: Bool) throws {
        let state = try load(id)
        let cgroup = try group(of: state)
        switch (status(state), paused) {
        case (.running, true), (.created, true): try cgroup.freeze()
        case (.paused, false): try cgroup.thaw()
        case (_, true): throw RuntimeError("container not running")
        case (_, false): throw RuntimeError("container not paused")
        }
    }

    /// `ps`: the pids of all processes, as the host sees them.
    public func processes(_ id: String) throws -> [Int32] {
        try group(of: try load(id)).processes().sorted()
    }

    /// The group of a container that has one.
    func group(of state: ContainerState) throws -> Cgroup {
        guard !state.cgroupPath.isEmpty else { throw RuntimeError("container \(state.id) has no cgroup of its own") }
        return try Cgroup.open(path: state.cgroupPath)
    }

    /// `update`: other limits for a living container.
    public func update(_ id: String, resources: JSONValue) throws {
        let state = try load(id)
        guard status(state) != .stopped else { throw RuntimeError("container not running") }
        let limits = try Cgroup.Resources(try RuntimeSpec.Resources(json: resources))
        let cgroup = try group(of: state)
        try state.scope?.update(limits)
        try cgroup.update(limits)
    }
}
