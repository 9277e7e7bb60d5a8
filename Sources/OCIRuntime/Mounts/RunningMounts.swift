import Linux
import OCI
import SystemPackage

/// The mounts of a container that runs, as seen from inside its mount namespace.
///
/// The container may exchange whatever it can write to at any moment. So each place is resolved inside the container's root and
/// then used by its descriptor, a mount that goes is known by the kernel's number for it, and nothing of the container's own
/// procfs is believed: the host's was opened before.
struct RunningMounts: ~Copyable {
    /// Of the namespace, whatever root its first process has chosen.
    private let root: OwnedFD
    /// `/proc/self` of the host.
    private let process: OwnedFD
    private let descriptors: OwnedFD

    /// The mount is in use.
    struct InUse: Error, CustomStringConvertible {
        let path: String
        var description: String { "\(path): the mount is in use" }
    }

    /// A mount that goes.
    struct Removal: Sendable, Equatable {
        let path: String
        /// Device and inode of what was mounted there, where that is known.
        let source: (device: UInt64, inode: UInt64)?

        /// `DEVICE:INODE`, or `-`.
        init?(_ path: String, identity: String) {
            self.path = path
            if identity == "-" {
                source = nil
                return
            }
            let parts = identity.split(separator: ":", omittingEmptySubsequences: false).map { UInt64($0) }
            guard parts.count == 2, let device = parts[0], let inode = parts[1] else { return nil }
            source = (device, inode)
        }

        static func == (left: Removal, right: Removal) -> Bool {
            left.path == right.path && left.source?.device == right.source?.device && left.source?.inode == right.source?.inode
        }
    }

    /// A mount that has gone, and a copy of it.
    struct Removed {
        let path: String
        /// nil for what cannot be copied.
        let copy: HeldFD?
    }

    /// The process stays in the namespace. `root` is a directory there in place of the namespace's own root.
    init(joining namespace: borrowing OwnedFD, root given: HeldFD?) throws {
        let process = try OwnedFD.open("/proc/self", [.path, .directory])
        let descriptors = try OwnedFD.open("/proc/self/fd", [.path, .directory])
        let own = try fstat(try OwnedFD.open("/proc/self/ns/mnt", .readOnly))
        guard try FileSystemKind(of: namespace) == .namespaces, try fstat(namespace).inode != own.inode else {
            throw LaunchError(message: "the container has no mount namespace of its own any more")
        }
        try Namespaces.mount.join(namespace)
        root = try given?.fd.duplicate() ?? OwnedFD.open("/", [.path, .directory])
        self.process = process
        self.descriptors = descriptors
    }

    // MARK: What comes

    /// Puts a mount in its place, which is made where it is missing. The root of what lies there then.
    func add(_ planned: HostSources.PlannedMount) throws -> HeldFD {
        let path = planned.mount.destination
        do {
            try MountSetup.checkInsideProc(path, source: planned.source)
            let target = try place(path, isDirectory: planned.sourceIsDirectory)
            try check(target, path)
            return try MountSetup().attach(planned, to: target)
        } catch let error as SystemError {
            throw MountSetup.failure(planned, error)
        }
    }

    /// By links and exchanged directories the path may lead anywhere in the container.
    private func check(_ place: borrowing OwnedFD, _ path: String) throws {
        let (number, own) = (try Mount.number(of: place).number, try Mount.number(of: root).number)
        let holder = try present().first { $0.number == number }
        let isProc = try FileSystemKind(of: place) == .proc || holder?.path.starts(with: "/proc") ?? false
        guard !isProc || FilePath(path).lexicallyNormalized().starts(with: "/proc") else {
            throw LaunchError(message: "\"\(path)\" cannot be mounted because it leads to /proc")
        }
        // The root's mount is the container's own, whatever is said of it.
        guard number == own || holder?.isShared == false else {
            throw LaunchError(
                message: "\"\(path)\" cannot be mounted because its place is in a shared mount: it would be mounted on the host as well")
        }
    }

    private func present() throws(SystemError) -> [MountedPlace] {
        try MountedPlace.all(try OwnedFD.open("mountinfo", in: process, .readOnly))
    }

    func isMounted(at path: String) throws(SystemError) -> Bool {
        guard let place = try openIfThere(path) else { return false }
        return try Mount.number(of: place).isItsRoot
    }

    private func openIfThere(_ path: String) throws(SystemError) -> OwnedFD? {
        do throws(SystemError) {
            return try PathInRoot.open(path, root: root, flags: .path)
        } catch {
            guard error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory else { throw error }
            return nil
        }
    }

    private func place(_ path: String, isDirectory: Bool) throws(SystemError) -> OwnedFD {
        do throws(SystemError) {
            return try isDirectory ? MountTarget.directory(path, root: root) : MountTarget.file(path, root: root)
        } catch {
            guard error.errno == .readOnlyFileSystem else { throw error }
        }
        try makeInReadOnlyRoot(path, isDirectory: isDirectory)
        return try isDirectory ? MountTarget.directory(path, root: root) : MountTarget.file(path, root: root)
    }

    /// The root of a container is read-only by its mount alone, and at the start places are made before that. A copy of the mount
    /// that nobody else sees can be written to; other mounts are left as they are.
    private func makeInReadOnlyRoot(_ path: String, isDirectory: Bool) throws(SystemError) {
        var parts = try PathInRoot.splitting(path)
        var missing = [parts.name]
        while true {
            do throws(SystemError) {
                let present = try PathInRoot.open(parts.directory, root: root, flags: [.path, .directory])
                let (here, whole) = (try Mount.number(of: present), try Mount.number(of: root))
                guard here.number == whole.number else {
                    throw SystemError(errno: .readOnlyFileSystem, call: "mkdirat", subject: path)
                }
                let writable = try Mount.clone(of: present, recursive: false)
                try Mount.setAttributes(writable, clear: .readOnly)
                let rest = missing.reversed().joined(separator: "/")
                _ = try isDirectory ? MountTarget.directory(rest, root: writable) : MountTarget.file(rest, root: writable)
                return
            } catch {
                guard error.errno == .noSuchFileOrDirectory, parts.directory != "/" else { throw error }
            }
            parts = try PathInRoot.splitting(parts.directory)
            missing.append(parts.name)
        }
    }

    /// As if it had never come.
    func takeBack(_ mount: HeldFD) {
        // What fails here is told by what failed before.
        try? Mount.detach(mount.fd, by: descriptors)
    }

    // MARK: What goes

    /// nil when nothing is mounted in its place: a change that a crash has cut off may be done. `staying` are places of other mounts.
    func remove(_ removal: Removal, lazily: Bool, staying: [FilePath]) throws -> Removed? {
        guard let (number, point, copy) = try find(removal) else {
            // The container may have moved it to another place.
            guard try !isElsewhere(removal, staying) else { throw Self.another(removal) }
            return nil
        }
        let parent = try PathInRoot.splitting(point)
        let directory = try PathInRoot.open(parent.directory, root: root, flags: [.path, .directory], resolve: .noSymbolicLinks)
        guard try Mount.number(of: directory, parent.name).number == number else { throw Self.another(removal) }
        // Not to stand in what goes next.
        defer { try? Identity.changeDirectory(descriptors) }
        do throws(SystemError) {
            try Mount.detach(parent.name, in: directory, lazily: lazily)
        } catch {
            guard error.errno == .resourceBusy else { throw error }
            throw InUse(path: removal.path)
        }
        return Removed(path: point, copy: copy)
    }

    /// Where the mount is, by the kernel's number and without links. No descriptor of it stays open, which would keep it in use.
    private func find(_ removal: Removal) throws -> (number: UInt64, point: String, copy: HeldFD?)? {
        guard let place = try openIfThere(removal.path) else { return nil }
        let (number, isItsRoot) = try Mount.number(of: place)
        guard isItsRoot, let point = try present().first(where: { $0.number == number })?.path else { return nil }
        let status = try fstat(place)
        let isSame = removal.source.map { $0 == (status.device, status.inode) } ?? false
        // By exchanged directories the path may lead to a mask, which has to stay.
        guard isSame || point == FilePath(removal.path).lexicallyNormalized() else { throw Self.another(removal) }
        // Without one it only cannot come back.
        let copy = try? HeldFD(Mount.clone(of: place, recursive: true))
        return (number, point.string, copy)
    }

    private func isElsewhere(_ removal: Removal, _ staying: [FilePath]) throws(SystemError) -> Bool {
        guard let source = removal.source else { return false }
        for mount in try present() where !staying.contains(mount.path) {
            // A place below others cannot be looked at, and can be nothing to the container.
            guard let place = try? PathInRoot.open(mount.path.string, root: root, flags: .path, resolve: .noSymbolicLinks) else { continue }
            let status = try fstat(place)
            if source == (status.device, status.inode) { return true }
        }
        return false
    }

    private static func another(_ removal: Removal) -> LaunchError {
        LaunchError(message: "\(removal.path) does not lead to the mount that was made there")
    }

    func putBack(_ removed: Removed) {
        guard let copy = removed.copy else { return }
        // As in `takeBack`.
        try? Mount.attach(copy.fd, to: try PathInRoot.open(removed.path, root: root, flags: .path))
    }
}
