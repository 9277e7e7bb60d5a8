import Linux
import OCI
import SystemPackage

/// What a configuration asks for and cannot have, before anything is made. Every refusal names the field.
struct ContainerChecks {
    let spec: RuntimeSpec
    let namespaces: NamespacePlan

    func run() throws(LaunchError) {
        try checkVersion()
        try HookRun.check(spec)
        try checkUsers()
        try checkNamespaceOwners()
        try checkMounts()
        try checkDevices()
        try checkNetDevices()
        guard let propagation = spec.linux.rootfsPropagation, !propagation.isEmpty else { return }
        if MountPropagation(option: propagation) == nil {
            throw refusal("rootfsPropagation=\(propagation) is not supported")
        }
    }

    private func refusal(_ message: String) -> LaunchError { LaunchError(message: message) }

    /// `1.x.y`, perhaps with an addition such as `-dev`, up to the version that this program knows.
    private func checkVersion() throws(LaunchError) {
        let dot = UInt8(ascii: ".")
        let version = Array(spec.ociVersion.utf8.prefix { $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: "+") })
        let parts = pieces(of: version, at: dot)
        let known = pieces(of: Array(RuntimeSpec.newestVersion.utf8), at: dot).compactMap { UInt32($0) }
        guard version.count(where: { $0 == dot }) == 2, parts.count == 3, let major = UInt32(parts[0]), let minor = UInt32(parts[1]),
            UInt32(parts[2]) != nil
        else {
            throw refusal("ociVersion \"\(spec.ociVersion)\" is not a version")
        }
        guard major == known[0], minor <= known[1] else {
            throw refusal("unsupported ociVersion \(spec.ociVersion): up to \(RuntimeSpec.newestVersion) is known")
        }
    }

    private func checkUsers() throws(LaunchError) {
        let linux = spec.linux
        let hasMappings = !linux.uidMappings.isEmpty || !linux.gidMappings.isEmpty
        if namespaces.new.contains(.user), linux.uidMappings.isEmpty || linux.gidMappings.isEmpty {
            throw refusal("a user namespace needs uidMappings and gidMappings")
        }
        if hasMappings, !linux.namespaces.contains(where: { $0.type == .user }) {
            throw refusal("user namespace mappings specified, but user namespace isn't enabled in the config")
        }
    }

    private func checkNamespaceOwners() throws(LaunchError) {
        if spec.hostname != nil, !namespaces.all.contains(.uts) {
            throw refusal("unable to set hostname without a private UTS namespace")
        }
        if spec.domainname != nil, !namespaces.all.contains(.uts) {
            throw refusal("unable to set domainname without a private UTS namespace")
        }
        if spec.linux.timeOffsets != nil {
            if namespaces.joinedKinds.contains(.time) {
                throw refusal("timeOffsets cannot be set in a time namespace that is joined by its path")
            }
            if !namespaces.new.contains(.time) {
                throw refusal("time namespace offsets specified, but time namespace isn't enabled in the config")
            }
        }
        if let label = spec.linux.mountLabel, !label.isEmpty, !Labels.hasSELinux() { throw Labels.noSELinux }
    }

    private func checkMounts() throws(LaunchError) {
        for mount in spec.mounts {
            guard mount.destination.hasPrefix("/") else {
                throw refusal("mount destination \"\(mount.destination)\" is not absolute")
            }
            if mount.uidMappings.isEmpty != mount.gidMappings.isEmpty {
                throw refusal("mount \"\(mount.destination)\" needs both uidMappings and gidMappings")
            }
        }
    }

    private func checkDevices() throws(LaunchError) {
        for device in spec.linux.devices {
            guard UInt32(exactly: device.major) != nil, UInt32(exactly: device.minor) != nil else {
                throw refusal("invalid device number \(device.major):\(device.minor) of device \(device.path)")
            }
            guard device.path.hasPrefix("/") else { throw refusal("device path \"\(device.path)\" is not absolute") }
        }
    }

    private func checkNetDevices() throws(LaunchError) {
        if spec.linux.netDevices.isEmpty { return }
        guard namespaces.all.contains(.network) else {
            throw refusal("unable to move network devices (netDevices) without a private network namespace")
        }
        for device in spec.linux.netDevices {
            for name in [device.hostName, device.name ?? device.hostName] where !Self.isDeviceName(name) {
                throw refusal("invalid network device name \"\(name)\" in netDevices")
            }
        }
    }

    /// As the kernel's `dev_valid_name`.
    private static func isDeviceName(_ name: String) -> Bool {
        let hasTrick = name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: ":") || $0 <= 32 || $0 == 127 }
        return !name.isEmpty && name.utf8.count < 16 && name != "." && name != ".." && !hasTrick
    }
}
