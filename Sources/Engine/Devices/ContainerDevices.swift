import DockerAPI
import Linux
import OCI
import SystemPackage

/// `--device`, and for a privileged container every device of the host.
struct ContainerDevices {
    let hostConfig: HostConfig

    func resolve() throws -> [RuntimeSpec.Device] {
        if hostConfig.Privileged == true { return try hostDevices() }
        var devices: [RuntimeSpec.Device] = []
        for mapping in hostConfig.Devices ?? [] {
            let source = mapping.PathOnHost ?? ""
            let target = (mapping.PathInContainer ?? "").isEmpty ? source : mapping.PathInContainer ?? source
            guard source.hasPrefix("/"), let device = try Self.device(FilePath(source), as: target) else {
                throw EngineError(
                    .invalidArgument, "error gathering device information while adding custom device \"\(source)\": not a device node")
            }
            devices.append(device)
        }
        return devices
    }

    /// What the container may do with them: `r`, `w` and `m` (make a node), all where nothing is said.
    func rules(_ devices: [RuntimeSpec.Device]) throws(EngineError) -> [RuntimeSpec.DeviceRule] {
        guard hostConfig.Privileged != true else { return [] }
        var rules: [RuntimeSpec.DeviceRule] = []
        for (device, mapping) in zip(devices, hostConfig.Devices ?? []) {
            let access = (mapping.CgroupPermissions ?? "").isEmpty ? "rwm" : mapping.CgroupPermissions ?? ""
            guard access.allSatisfy({ "rwm".contains($0) }) else {
                throw EngineError(.invalidArgument, "invalid device mode: \(access)")
            }
            rules.append(
                RuntimeSpec.DeviceRule(
                    allow: true, type: device.type, major: device.major, minor: device.minor, access: access))
        }
        return rules
    }

    /// nil for what is no device; a path where nothing is fails.
    static func device(_ source: FilePath, as target: String) throws -> RuntimeSpec.Device? {
        let metadata = try fstat(try OwnedFD.open(source, [.path]))
        let type: String
        switch metadata.kind {
        case .characterDevice: type = "c"
        case .blockDevice: type = "b"
        default: return nil
        }
        return RuntimeSpec.Device(
            path: target, type: type, major: Int64(metadata.deviceMajor), minor: Int64(metadata.deviceMinor),
            fileMode: metadata.permissions, uid: metadata.uid, gid: metadata.gid)
    }

    /// Mounts of their own in the container, and names that the runtime makes itself.
    private static let own: Set<String> = [
        "pts", "shm", "mqueue", "fd", "console", "ptmx", "stdin", "stdout", "stderr", "core", "null", "zero", "full", "random",
        "urandom", "tty", "hugepages", "lxc", "lxd-fuse", ".lxc", ".lxd-mounts", ".udev",
    ]

    private func hostDevices() throws -> [RuntimeSpec.Device] {
        var devices: [RuntimeSpec.Device] = []
        try Self.walk("/dev", depth: 0, into: &devices)
        return devices
    }

    private static func walk(_ directory: FilePath, depth: Int, into devices: inout [RuntimeSpec.Device]) throws {
        let opened = try OwnedFD.open(directory, [.readOnly, .directory, .noFollow])
        for name in try namesInDirectory(opened) {
            if depth == 0, own.contains(name.description) { continue }
            guard let metadata = try fstatatIfExists(opened, name) else { continue }
            let path = directory.appending(name.description)
            switch metadata.kind {
            case .characterDevice, .blockDevice:
                if let device = try device(path, as: path.string) { devices.append(device) }
            case .directory where depth < 4:
                try walk(path, depth: depth + 1, into: &devices)
            default: break
            }
        }
    }
}
