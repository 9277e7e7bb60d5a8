import Blocking
import DockerAPI
import Images
import Linux
import OCI
import SystemPackage

/// Decides the mounts of a new container: `-v`, `--mount`, `--tmpfs`, `--volumes-from` and the image's `VOLUME`s.
struct MountResolution {
    let volumes: VolumeStore
    let images: ImageStore
    let registry: ContainerRegistry
    /// Of the container that the mounts are for.
    let notes: NotedVolumes

    /// In the order of their destinations, so that a mount comes after the one it lies in. Makes volumes that are missing.
    func resolve(_ config: ContainerConfig, _ host: HostConfig) async throws -> [ResolvedMount] {
        var mounts: [ResolvedMount] = []
        for source in host.VolumesFrom ?? [] { mounts += try await inherited(source) }
        var requested: [ResolvedMount] = []
        for bind in host.Binds ?? [] { requested.append(try await parse(bind: bind)) }
        for mount in host.Mounts ?? [] { requested.append(try await resolve(mount)) }
        for (destination, options) in host.Tmpfs ?? [:] {
            requested.append(
                ResolvedMount(
                    kind: .tmpfs, destination: try Self.clean(destination),
                    options: options.split(separator: ",").map(String.init)))
        }
        for mount in requested {
            guard !requested.contains(where: { $0 != mount && $0.destination == mount.destination }) else {
                throw EngineError(.invalidArgument, "Duplicate mount point: \(mount.destination)")
            }
        }
        mounts = mounts.filter { old in !requested.contains { $0.destination == old.destination } } + requested
        for path in (config.Volumes ?? [:]).keys.sorted() {
            let destination = try Self.clean(path)
            guard !mounts.contains(where: { $0.destination == destination }) else { continue }
            mounts.append(try await anonymous(destination))
        }
        return mounts.sorted { $0.destination < $1.destination }
    }

    private func anonymous(_ destination: String) async throws -> ResolvedMount {
        let name = try await makeAnonymous(labels: ["com.docker.volume.anonymous": ""])
        return ResolvedMount(
            kind: .volume, name: name, source: volumes.directory(name).string, destination: destination, anonymous: true)
    }

    private func makeAnonymous(labels: [String: String], options: [String: String] = [:]) async throws -> String {
        let name = makeID()
        try await blocking { [notes] in try notes.note([name]) }
        return try await volumes.create(name, labels: labels, options: options).Name ?? name
    }

    private func inherited(_ text: String) async throws -> [ResolvedMount] {
        let parts = text.split(separator: ":", maxSplits: 1)
        let readOnly = parts.count > 1 && parts[1] == "ro"
        let other = try await registry.find(String(parts.first ?? ""))
        // A socket of the API is its container's alone.
        return await other.record.mounts.filter { $0.kind != .engineSocket }.map {
            var mount = $0
            mount.anonymous = false
            mount.readOnly = mount.readOnly || readOnly
            return mount
        }
    }

    /// `source:destination[:options]`, where a source without a slash is a volume's name; or `destination` alone.
    private func parse(bind: String) async throws -> ResolvedMount {
        let parts = bind.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard (1...3).contains(parts.count), parts.allSatisfy({ !$0.isEmpty }) else {
            throw EngineError(.invalidArgument, "invalid volume specification: '\(bind)'")
        }
        if parts.count == 1 { return try await anonymous(try Self.clean(parts[0])) }
        let destination = try Self.clean(parts[1], specification: bind)
        var mount = ResolvedMount(kind: .bind, destination: destination, mode: parts.count > 2 ? parts[2] : "")
        try Self.apply(options: mount.mode, to: &mount, specification: bind)
        if parts[0].hasPrefix("/") {
            mount.source = FilePath(parts[0]).lexicallyNormalized().string
            let source = FilePath(mount.source)
            // Docker makes the directory of a bind that is not there.
            try await blocking { if try !Self.exists(source) { try makeDirectories(source, mode: 0o755) } }
        } else {
            mount.kind = .volume
            mount.name = parts[0]
            _ = try await volumes.create(parts[0])
            mount.source = volumes.directory(parts[0]).string
        }
        return mount
    }

    private static func apply(options: String, to mount: inout ResolvedMount, specification: String) throws(EngineError) {
        for option in options.split(separator: ",") {
            switch option {
            case "ro": mount.readOnly = true
            case "rw", "z", "Z", "cached", "delegated", "consistent": break
            case "nocopy": mount.noCopy = true
            case "idmap": mount.ownerMapping = "owner"
            case _ where option.hasPrefix("idmap="):
                _ = try OwnerMapping(String(option.dropFirst(6)))
                mount.ownerMapping = String(option.dropFirst(6))
            case "private", "rprivate", "shared", "rshared", "slave", "rslave": mount.propagation = String(option)
            default: throw EngineError(.invalidArgument, "invalid mode: \(options)")
            }
        }
    }

    /// One of `--mount`.
    func resolve(_ mount: DockerAPI.Mount) async throws -> ResolvedMount {
        let kind = mount.`Type` ?? ""
        guard let target = mount.Target, !target.isEmpty else {
            throw EngineError(.invalidArgument, "invalid mount config for type \"\(kind)\": field Target must not be empty")
        }
        var resolved = ResolvedMount(kind: .bind, destination: try Self.clean(target), readOnly: mount.ReadOnly ?? false)
        if let text = mount.IDMap {
            guard kind == "bind" || kind == "volume" else {
                throw EngineError(.invalidArgument, "invalid mount config for type \"\(kind)\": idmap is for binds and volumes")
            }
            _ = try OwnerMapping(text)
            resolved.ownerMapping = text
        }
        switch kind {
        case "bind": try await resolveBind(mount, &resolved)
        case "volume": try await resolveVolume(mount, &resolved)
        case "tmpfs":
            resolved.kind = .tmpfs
            if let size = mount.TmpfsOptions?.SizeBytes, size > 0 { resolved.options.append("size=\(size)") }
            if let mode = mount.TmpfsOptions?.Mode, mode > 0 { resolved.options.append("mode=" + String(mode, radix: 8)) }
            resolved.options += try Self.tmpfsOptions(mount)
        case "image": try await resolveImage(mount, &resolved)
        case "engine-socket":
            guard let scope = APIScope(rawValue: mount.Source ?? "") else {
                throw EngineError(
                    .invalidArgument,
                    "invalid mount config for type \"engine-socket\": the source has to be a scope: \(APIScope.allCases.map(\.rawValue).joined(separator: ", "))"
                )
            }
            (resolved.kind, resolved.source) = (.engineSocket, scope.rawValue)
        default:
            throw EngineError(.invalidArgument, "invalid mount config for type \"\(kind)\": mount type unknown: \"\(kind)\"")
        }
        return resolved
    }

    private func resolveBind(_ mount: DockerAPI.Mount, _ resolved: inout ResolvedMount) async throws {
        let source = mount.Source ?? ""
        guard source.hasPrefix("/") else {
            throw EngineError(.invalidArgument, "invalid mount config for type \"bind\": invalid mount path: '\(source)' mount path must be absolute")
        }
        let path = FilePath(source).lexicallyNormalized()
        let make = mount.BindOptions?.CreateMountpoint ?? false
        try await blocking {
            guard try !Self.exists(path) else { return }
            guard make else {
                throw EngineError(.invalidArgument, "invalid mount config for type \"bind\": bind source path does not exist: \(source)")
            }
            try makeDirectories(path, mode: 0o755)
        }
        resolved.source = path.string
        try Self.apply(mount.BindOptions ?? DockerAPI.Mount.BindOptions(), to: &resolved)
    }

    private static func apply(_ options: DockerAPI.Mount.BindOptions, to resolved: inout ResolvedMount) throws(EngineError) {
        func conflict(_ text: String) -> EngineError {
            EngineError(.invalidArgument, "invalid mount config for type \"bind\": \(text)")
        }
        let propagation = options.Propagation ?? ""
        guard ["", "private", "rprivate", "shared", "rshared", "slave", "rslave"].contains(propagation) else {
            throw conflict("invalid propagation mode: \(propagation)")
        }
        resolved.propagation = propagation
        resolved.nonRecursive = options.NonRecursive ?? false
        let (writable, forced) = (options.ReadOnlyNonRecursive == true, options.ReadOnlyForceRecursive == true)
        if writable || forced {
            guard resolved.readOnly else {
                throw conflict("mount options conflict: !ReadOnly && BindOptions.ReadOnly\(writable ? "Non" : "Force")Recursive")
            }
            guard !writable || !forced else {
                throw conflict("mount options conflict: BindOptions.ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive")
            }
            guard !resolved.nonRecursive else {
                throw conflict("mount options conflict: BindOptions.NonRecursive && BindOptions.ReadOnly\(writable ? "Non" : "Force")Recursive")
            }
            guard !forced || ["", "rprivate"].contains(propagation) else {
                throw conflict("mount options conflict: BindOptions.ReadOnlyForceRecursive requires BindOptions.Propagation to be rprivate")
            }
            resolved.readOnlyBelow = writable ? .writable : .forced
        }
    }

    private static func tmpfsOptions(_ mount: DockerAPI.Mount) throws(EngineError) -> [String] {
        var options: [String] = []
        for option in mount.TmpfsOptions?.Options ?? [] {
            guard option.count == 1, ["exec", "noexec"].contains(option[0]) else {
                throw EngineError(.invalidArgument, "invalid mount config for type \"tmpfs\": invalid option: \(option.joined(separator: "="))")
            }
            options.append(option[0])
        }
        return options
    }

    /// A path inside a volume or an image, which stays there whatever links lie on the way.
    private static func subpath(_ text: String?, _ kind: String) throws(EngineError) -> String? {
        guard let text, !text.isEmpty else { return nil }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard !text.hasPrefix("/"), !parts.contains(".."), !text.utf8.contains(0) else {
            throw EngineError(
                .invalidArgument, "invalid mount config for type \"\(kind)\": subpath must be a relative path within the \(kind)")
        }
        return text
    }

    private func resolveImage(_ mount: DockerAPI.Mount, _ resolved: inout ResolvedMount) async throws {
        let name = mount.Source ?? ""
        guard !name.isEmpty else {
            throw EngineError(.invalidArgument, "invalid mount config for type \"image\": field Source must not be empty")
        }
        let image = try await images.image(name)
        resolved.kind = .image
        resolved.name = image.id.description
        resolved.source = name
        resolved.readOnly = true
        resolved.layers = image.layers.map(\.description)
        resolved.subpath = try Self.subpath(mount.ImageOptions?.Subpath, "image")
    }

    private func resolveVolume(_ mount: DockerAPI.Mount, _ resolved: inout ResolvedMount) async throws {
        let options = mount.VolumeOptions
        guard ["", "local"].contains(options?.DriverConfig?.Name ?? "") else {
            throw EngineError(.notFound, "error looking up volume plugin \(options?.DriverConfig?.Name ?? ""): plugin not found")
        }
        resolved.kind = .volume
        resolved.anonymous = (mount.Source ?? "").isEmpty
        resolved.noCopy = options?.NoCopy ?? false
        resolved.subpath = try Self.subpath(options?.Subpath, "volume")
        let (labels, driverOptions) = (options?.Labels ?? [:], options?.DriverConfig?.Options ?? [:])
        if resolved.anonymous {
            resolved.name = try await makeAnonymous(labels: labels, options: driverOptions)
        } else {
            resolved.name = try await volumes.create(mount.Source, labels: labels, options: driverOptions).Name ?? ""
        }
        resolved.source = volumes.directory(resolved.name).string
    }

    private static func exists(_ path: FilePath) throws -> Bool {
        do {
            _ = try OwnedFD.open(path, [.path])
            return true
        } catch  where error.errno == .noSuchFileOrDirectory {
            return false
        }
    }

    private static func clean(_ destination: String, specification: String? = nil) throws(EngineError) -> String {
        guard destination.hasPrefix("/"), !destination.utf8.contains(0) else {
            throw EngineError(
                .invalidArgument,
                "invalid volume specification: '\(specification ?? destination)': invalid mount config for type \"volume\": invalid mount path: '\(destination)' mount path must be absolute"
            )
        }
        let path = FilePath(destination).lexicallyNormalized().string
        guard path != "/" else {
            throw EngineError(
                .invalidArgument, "invalid volume specification: '\(specification ?? destination)': invalid specification: destination can't be '/'")
        }
        return path
    }
}
