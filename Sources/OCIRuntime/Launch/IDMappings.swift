import Linux
import OCI
import SystemPackage

/// The tables of a new user namespace.
enum IDMappings {
    /// Writes both. Without privilege the kernel takes no more than one's own id; for other ids the programs `newuidmap`
    /// and `newgidmap` know what `/etc/subuid` and `/etc/subgid` allow.
    static func write(_ linux: RuntimeSpec.Linux, pid: Int32, isPrivileged: Bool) throws {
        if isPrivileged {
            try write(linux.uidMappings, "uid_map", pid)
            return try write(linux.gidMappings, "gid_map", pid)
        }
        if isOwn(linux.uidMappings, CurrentProcess.effectiveUserID) {
            try write(linux.uidMappings, "uid_map", pid)
        } else {
            try call("newuidmap", linux.uidMappings, pid)
        }
        if isOwn(linux.gidMappings, CurrentProcess.effectiveGroupID) {
            // Who could leave a group this way would get past files that are closed to the group.
            try write("deny", "setgroups", pid)
            try write(linux.gidMappings, "gid_map", pid)
        } else {
            try call("newgidmap", linux.gidMappings, pid)
        }
    }

    private static func isOwn(_ mappings: [RuntimeSpec.IDMapping], _ id: UInt32) -> Bool {
        mappings.count == 1 && mappings[0].hostID == id && mappings[0].size == 1
    }

    static func write(_ mappings: [RuntimeSpec.IDMapping], _ name: String, _ pid: Int32) throws {
        try write(mappings.map { "\($0.containerID) \($0.hostID) \($0.size)\n" }.joined(), name, pid)
    }

    private static func write(_ text: String, _ name: String, _ pid: Int32) throws {
        do throws(SystemError) {
            try OwnedFD.open(FilePath("/proc/\(pid)/\(name)"), .writeOnly).writeAll(Array(text.utf8))
        } catch {
            throw LaunchError(message: "unable to write \(name) of the container: \(error.errno.goText)")
        }
    }

    private static func call(_ name: String, _ mappings: [RuntimeSpec.IDMapping], _ pid: Int32) throws {
        let places = ["/usr/bin", "/bin", "/usr/local/bin"].map { FilePath($0).appending(name) }
        guard let path = try places.first(where: { try lstatIfExists($0) != nil }) else {
            throw LaunchError(message: "\(name) is not installed: without privilege only the own id can be mapped")
        }
        let arguments = [name, "\(pid)"] + mappings.flatMap { ["\($0.containerID)", "\($0.hostID)", "\($0.size)"] }
        let end = try CapturedProgram(path: path, arguments: arguments, environment: []).run()
        guard end.status == .exited(0) else { throw LaunchError(message: "\(name) failed: \(end.output)") }
    }

    /// Whether a process in the user namespace of `process` (`self` or a pid) may choose its groups.
    static func allowGroups(_ process: String) throws(SystemError) -> Bool {
        let file = try OwnedFD.open(FilePath("/proc/\(process)/setgroups"), .readOnly)
        return try !file.readAll(limit: 64).starts(with: "deny".utf8)
    }
}

/// A user namespace that nobody is in, for its tables alone: how an idmapped mount shows its owners.
final class MappingNamespaces {
    private var made: [(uid: [RuntimeSpec.IDMapping], gid: [RuntimeSpec.IDMapping], namespace: HeldFD)] = []

    /// The same one for the same tables.
    func namespace(_ uid: [RuntimeSpec.IDMapping], _ gid: [RuntimeSpec.IDMapping]) throws -> HeldFD {
        if let known = made.first(where: { $0.uid == uid && $0.gid == gid }) { return known.namespace }
        let namespace = HeldFD(try Self.make(uid, gid))
        made.append((uid, gid, namespace))
        return namespace
    }

    /// A process has to be in it while its tables are written.
    private static func make(_ uid: [RuntimeSpec.IDMapping], _ gid: [RuntimeSpec.IDMapping]) throws -> OwnedFD {
        let pair = try Channel.Pair()
        switch try cloneProcess(.user) {
        case .child:
            let channel = pair.takeChild()
            _ = try? channel.receive()  // Nothing comes but the end.
            endProcess(0)
        case .parent(let pid, let process):
            let channel = pair.takeParent()
            defer {
                // It waits for nothing but our end of the channel, and has nothing to lose.
                try? sendSignal(.kill, to: process)
                _ = try? reap(pid)
            }
            try IDMappings.write(uid, "uid_map", pid)
            try IDMappings.write(gid, "gid_map", pid)
            let namespace = try OwnedFD.open(FilePath("/proc/\(pid)/ns/user"), .readOnly)
            _ = channel.descriptor.raw
            return namespace
        }
    }
}
