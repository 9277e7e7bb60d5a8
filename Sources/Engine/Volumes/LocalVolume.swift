import Linux
import NIOCore
import SystemPackage

/// What the options of a volume of the driver `local` say, as mount(8) takes it: `type`, `device`, and `o` for the rest.
/// Without options a volume is a directory.
struct LocalVolume: Sendable, Equatable {
    let type: String
    let device: String
    /// What holds for the mount.
    private(set) var attributes: MountAttributes = []
    private(set) var propagation: MountPropagation?
    /// What the file system itself is told.
    private(set) var data: [String] = []
    private(set) var isBind = false
    private(set) var isRecursive = false

    /// nil without options. What cannot be is refused in Docker's words.
    init?(_ options: [String: String]) throws(EngineError) {
        guard !options.isEmpty else { return nil }
        for name in options.keys.sorted() where !["type", "o", "device", "size"].contains(name) {
            throw EngineError(.invalidArgument, "invalid option: \"\(name)\"")
        }
        if let size = options["size"], !size.isEmpty {
            throw EngineError(.invalidArgument, "quota size requested but no quota support")
        }
        for name in ["device", "type"] where options[name] == nil {
            throw EngineError(.invalidArgument, "missing required option: \"\(name)\"")
        }
        type = options["type"] ?? ""
        device = options["device"] ?? ""
        guard !type.utf8.contains(0), !device.utf8.contains(0) else { throw EngineError(.invalidArgument, "invalid option: NUL in a text") }
        for option in (options["o"] ?? "").split(separator: ",") { read(String(option)) }
        if type == "bind" { isBind = true }
        guard !isBind || device.hasPrefix("/") else {
            throw EngineError(.invalidArgument, "invalid option: device \"\(device)\" of a bind has to be an absolute path")
        }
    }

    private mutating func read(_ option: String) {
        switch option {
        case "defaults", "rw", "suid", "dev", "exec", "async", "auto", "noauto", "_netdev", "nofail": break
        case "bind": isBind = true
        case "rbind": (isBind, isRecursive) = (true, true)
        case "private", "rprivate": propagation = .isPrivate
        case "shared", "rshared": propagation = .shared
        case "slave", "rslave": propagation = .slave
        case "ro": attributes.insert(.readOnly)
        case "nosuid": attributes.insert(.noSetUserID)
        case "nodev": attributes.insert(.noDevices)
        case "noexec": attributes.insert(.noExecution)
        case "noatime": attributes.formUnion(.noAccessTime)
        case "strictatime": attributes.formUnion(.strictAccessTime)
        case "nodiratime": attributes.insert(.noDirectoryAccessTime)
        case "relatime", "norelatime", "atime": break
        default: data.append(option)
        }
    }

    /// Mounts at a directory. Blocks, for a server of files perhaps long.
    func mount(at directory: FilePath) throws {
        do {
            let mount = isBind ? try Mount.clone(of: FilePath(device), recursive: isRecursive) : try filesystem()
            if isBind, attributes != [] { try Mount.setAttributes(mount, set: attributes) }
            if let propagation { try Mount.setAttributes(mount, propagation: propagation) }
            try Mount.attach(mount, to: try OwnedFD.open(directory, [.path, .directory]))
        } catch let error as SystemError {
            throw EngineError(
                .internalError,
                "error while mounting volume '\(directory)': failed to mount local volume: mount \(device):\(directory)\(dataText): \("\(error.errno)".lowercased())"
            )
        }
    }

    private var dataText: String { data.isEmpty ? "" : ", data: \(data.joined(separator: ","))" }

    private func filesystem() throws -> OwnedFD {
        var options = try data.map(resolved)
        if attributes.contains(.readOnly), type != "tmpfs" { options.append("ro") }
        return try Mount.filesystem(type: type, source: device, options: options, attributes: attributes)
    }

    /// The kernel knows no names of hosts: `addr=files.example` becomes an address.
    private func resolved(_ option: String) throws -> String {
        guard type.hasPrefix("nfs") || type == "cifs", option.hasPrefix("addr="), IPAddress(String(option.dropFirst(5))) == nil else {
            return option
        }
        let host = String(option.dropFirst(5))
        do {
            guard let address = try NIOCore.SocketAddress.makeAddressResolvingHost(host, port: 0).ipAddress else { return option }
            return "addr=\(address)"
        } catch {
            throw EngineError(.internalError, "error resolving passed in network volume address: lookup \(host): no such host")
        }
    }
}
