import Linux
import OCI
import SystemPackage

/// Who looks after the cgroups of containers.
public enum CgroupDriver: String, Sendable {
    /// The runtime itself, by files.
    case cgroupfs
    /// systemd, told over D-Bus.
    case systemd
    /// Nobody: containers stay in the caller's group.
    case disabled
}

/// A container's cgroup, perhaps one that systemd looks after.
struct ContainerGroup {
    /// nil for an ordinary user who has none to give.
    let cgroup: Cgroup?
    let scope: SystemdScope?
    /// Holds systemd's unit until the container's own process is in it.
    private let placeholder: HeldProcess?

    static var none: ContainerGroup { ContainerGroup(cgroup: nil, scope: nil, placeholder: nil) }

    /// Makes the group of a configuration with its limits.
    static func make(_ spec: RuntimeSpec, id: String, _ root: RuntimeRoot) throws -> ContainerGroup {
        let path = spec.linux.cgroupsPath ?? ""
        let resources = try Cgroup.Resources(spec.linux.resources)
        switch root.driver {
        case .disabled:
            if resources.hasLimits { throw RuntimeError("limits need a cgroup, and the cgroup manager is disabled") }
            return .none
        case .systemd: return try makeScope(path, id: id, resources, spec.annotations, root)
        case .cgroupfs:
            if path.utf8.count(where: { $0 == UInt8(ascii: ":") }) == 2 {
                throw RuntimeError("cgroupsPath \(path) is one of systemd, which needs --systemd-cgroup")
            }
            let cgroup = try orNone(resources, root) { () throws(SystemError) in
                try Cgroup.create(path: path.isEmpty ? "/\(id)" : path, resources: resources)
            }
            return ContainerGroup(cgroup: cgroup, scope: nil, placeholder: nil)
        }
    }

    /// Without limits to keep a container can do without a group of its own, where its user may not make one.
    private static func orNone(_ resources: Cgroup.Resources, _ root: RuntimeRoot, _ make: () throws(SystemError) -> Cgroup) throws -> Cgroup? {
        do throws(SystemError) {
            return try make()
        } catch {
            let isRefused = [.permissionDenied, .notPermitted, .readOnlyFileSystem, .noSuchFileOrDirectory].contains(error.errno)
            guard isRefused, root.isRootless else { throw error }
            guard !resources.hasLimits else {
                throw RuntimeError("rootless needs no limits when no permission is granted for cgroups: \(error)")
            }
            return nil
        }
    }

    private static func makeScope(
        _ path: String, id: String, _ resources: Cgroup.Resources, _ annotations: [String: String], _ root: RuntimeRoot
    ) throws -> ContainerGroup {
        let scope = try SystemdScope(cgroupsPath: path, id: id, user: CurrentProcess.effectiveUserID != 0)
        let placeholder = try HeldProcess()
        let place: String
        do {
            place = try scope.start(holding: placeholder.pid, limits: resources, annotations: annotations)
        } catch {
            // A unit of that name may be somebody else's; one that was just made goes with its last process.
            placeholder.end()
            throw error
        }
        do {
            return ContainerGroup(cgroup: try Cgroup.adopt(path: place, resources: resources), scope: scope, placeholder: placeholder)
        } catch {
            placeholder.end()
            try? scope.stop()  // The first error is the one to tell.
            throw error
        }
    }

    /// For the clone: nil where only systemd may move a process in.
    var forClone: Cgroup? { scope?.isUser == true ? nil : cgroup }

    /// The container's process exists and has not begun: from now on it holds the group.
    func hold(_ pid: Int32) throws {
        // On version 1 systemd has a hierarchy of its own that the clone did not enter.
        if let scope, try scope.isUser || !Cgroup.isVersionTwo() { try scope.attach(pid) }
        placeholder?.end()
    }

    /// The group that a state tells of.
    init(_ state: ContainerState) {
        // What is gone already has nothing left to do.
        cgroup = state.cgroupPath.isEmpty ? nil : try? Cgroup.open(path: state.cgroupPath)
        scope = state.scope
        placeholder = nil
    }

    private init(cgroup: Cgroup?, scope: SystemdScope?, placeholder: HeldProcess?) {
        self.cgroup = cgroup
        self.scope = scope
        self.placeholder = placeholder
    }

    /// The group that a container would have got whose making was cut short.
    static func left(by spec: RuntimeSpec, id: String, _ root: RuntimeRoot) -> ContainerGroup {
        let path = spec.linux.cgroupsPath ?? ""
        if root.driver == .systemd {
            let scope = try? SystemdScope(cgroupsPath: path, id: id, user: CurrentProcess.effectiveUserID != 0)
            return ContainerGroup(cgroup: nil, scope: scope, placeholder: nil)
        }
        return ContainerGroup(cgroup: try? Cgroup.open(path: path.isEmpty ? "/\(id)" : path), scope: nil, placeholder: nil)
    }

    /// Removes the group. The processes in it are killed first where that is asked for.
    func remove(killing: Bool) throws {
        placeholder?.end()
        if killing { try cgroup?.killAll() }
        try scope?.stop()
        try cgroup?.remove()
    }
}

/// A process that does nothing but exist.
final class HeldProcess {
    let pid: Int32
    private var hasEnded = false

    /// Only for programs with one thread. It ends with the caller.
    init() throws {
        switch try cloneProcess([]) {
        case .child:
            // Nothing is heard any more but the end of the caller.
            try? Identity.dieWithParent()
            sleepForever()
        case .parent(let pid, _): self.pid = pid
        }
    }

    func end() {
        if hasEnded { return }
        hasEnded = true
        // Whatever fails here, it is gone.
        try? kill(pid, .kill)
        _ = try? reap(pid)
    }

    deinit { end() }
}

extension Cgroup.Resources {
    /// Whether anything is asked for but rules for devices, which an ordinary user cannot have.
    var hasLimits: Bool {
        var others = self
        others.devices = []
        return others != Cgroup.Resources()
    }
}
