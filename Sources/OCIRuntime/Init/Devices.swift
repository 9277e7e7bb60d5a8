import Linux
import OCI
import SystemPackage

/// A device file of a container.
struct DeviceNode {
    let path: String
    let type: String
    let major: UInt32
    let minor: UInt32
    let mode: UInt32
    let uid: UInt32
    let gid: UInt32

    /// Those that every container has, and those of the configuration, which win.
    static func all(for spec: RuntimeSpec) -> [DeviceNode] {
        var nodes = usual
        for device in spec.linux.devices { nodes.removeAll { $0.path == device.path } }
        for device in spec.linux.devices {
            nodes.append(
                DeviceNode(
                    path: device.path, type: device.type, major: UInt32(truncatingIfNeeded: device.major),
                    minor: UInt32(truncatingIfNeeded: device.minor), mode: device.fileMode.map { $0 & 0o7777 } ?? 0o666,
                    uid: device.uid ?? 0, gid: device.gid ?? 0))
        }
        return nodes
    }

    private static var usual: [DeviceNode] {
        [
            everybodys("/dev/null", 1, 3), everybodys("/dev/zero", 1, 5), everybodys("/dev/full", 1, 7),
            everybodys("/dev/random", 1, 8), everybodys("/dev/urandom", 1, 9), everybodys("/dev/tty", 5, 0),
        ]
    }

    private static func everybodys(_ path: String, _ major: UInt32, _ minor: UInt32) -> DeviceNode {
        DeviceNode(path: path, type: "c", major: major, minor: minor, mode: 0o666, uid: 0, gid: 0)
    }

    /// The device of the host by the same path, to be bound. It has to be the one that is meant.
    func openOnHost() throws -> OwnedFD {
        do {
            let device = try Mount.clone(of: FilePath(path), recursive: false)
            guard matches(try fstat(device)) else {
                throw LaunchError(message: "\(path) of the host is not the device \(type) \(major):\(minor)")
            }
            return device
        } catch let error as SystemError {
            throw LaunchError(message: "device \(path) of the host cannot be bound: \(error.errno.goText)")
        }
    }

    /// Makes the node, or binds the host's, which is given where nodes cannot be made.
    func make(in root: borrowing OwnedFD, bound: HeldFD?) throws {
        if let bound {
            let target = try MountTarget.file(path, root: root)
            return try Mount.attach(bound.fd, to: target)
        }
        let (directory, last) = try PathInRoot.splitting(path)
        let parent = try PathInRoot.makeDirectories(directory, root: root)
        let name = try FileName(last)
        if let existing = try fstatatIfExists(parent, name) {
            if matches(existing) { return }
            try unlinkat(parent, name)
        }
        switch type {
        case "c", "u": try mknodat(parent, name, kind: .characterDevice, mode: mode, major: major, minor: minor)
        case "b": try mknodat(parent, name, kind: .blockDevice, mode: mode, major: major, minor: minor)
        case "p": try mknodat(parent, name, kind: .fifo, mode: mode)
        default: throw LaunchError(message: "\(type) is not a valid device type for device \(path)")
        }
        if uid != 0 || gid != 0 { try fchownat(parent, name, uid: uid, gid: gid) }
        // The umask may have taken bits of the mode, and a change of owner clears some.
        if try fstatat(parent, name).permissions != mode { try fchmodat(parent, name, mode: mode) }
    }

    private func matches(_ file: FileMetadata) -> Bool {
        let sameKind =
            switch type {
            case "c", "u": file.kind == .characterDevice
            case "b": file.kind == .blockDevice
            default: file.kind == .fifo
            }
        return sameKind && (type == "p" || (file.deviceMajor == major && file.deviceMinor == minor))
    }
}

/// The links below `/dev` that programs expect.
enum DeviceLinks {
    static func make(in root: borrowing OwnedFD) throws {
        let directory = try PathInRoot.makeDirectories("/dev", root: root)
        try link("fd", to: "/proc/self/fd", in: directory)
        try link("stdin", to: "/proc/self/fd/0", in: directory)
        try link("stdout", to: "/proc/self/fd/1", in: directory)
        try link("stderr", to: "/proc/self/fd/2", in: directory)
        try link("core", to: "/proc/kcore", in: directory)
        if try fstatatIfExists(directory, "ptmx") != nil { try unlinkat(directory, "ptmx") }
        try symlinkat(Array("pts/ptmx".utf8), directory, "ptmx")
    }

    private static func link(_ name: FileName, to target: String, in directory: borrowing OwnedFD) throws {
        if try fstatatIfExists(directory, name) == nil { try symlinkat(Array(target.utf8), directory, name) }
    }
}
