import DockerAPI
import Linux
import Logging
import OCI
import SystemPackage

/// The devices that the files in some directories of the host describe. Read anew at each use: drivers write them at
/// their start. Calls block.
struct CDIDevices: Sendable {
    /// A file of a later directory wins over one of an earlier one.
    let directories: [FilePath]
    let logger: Logger

    private static let largestFile = 4 << 20

    private struct Source {
        let specification: CDISpecification
        let priority: Int
        let file: FilePath
    }

    /// All names that can be asked for.
    func names() -> [String] {
        Set(sources().flatMap { source in source.specification.devices.map { "\(source.specification.kind)=\($0.name)" } }).sorted()
    }

    /// What a container gets for its requests; nil when it has none.
    func edits(for requests: [DeviceRequest]) throws(EngineError) -> [CDIEdits]? {
        guard !requests.isEmpty else { return nil }
        let sources = sources()
        var wanted: [CDIName] = []
        for request in requests { wanted += try Self.names(request, sources) }
        var edits: [CDIEdits] = []
        var missing: [String] = []
        var used: Set<FilePath> = []
        for name in wanted {
            guard let (source, device) = Self.find(name, sources) else {
                missing.append("\(name.kind)=\(name.device)")
                continue
            }
            if used.insert(source.file).inserted { edits.append(source.specification.edits) }
            edits.append(device)
        }
        guard missing.isEmpty else {
            throw EngineError(.invalidArgument, "CDI device injection failed: unresolvable CDI devices \(missing.joined(separator: ", "))")
        }
        return edits
    }

    // MARK: Requests

    private static func names(_ request: DeviceRequest, _ sources: [Source]) throws(EngineError) -> [CDIName] {
        let ids = request.DeviceIDs ?? []
        let count = request.Count ?? 0
        if request.Driver == "cdi" {
            guard count == 0 else { throw EngineError(.invalidArgument, "invalid count \(count) in CDI device request") }
            var names: [CDIName] = []
            for id in ids {
                guard let name = CDIName(id) else { throw EngineError(.invalidArgument, "invalid CDI device name: \(id)") }
                names.append(name)
            }
            return names
        }
        guard count == 0 || ids.isEmpty else {
            throw EngineError(.invalidArgument, "cannot set both Count and DeviceIDs on device request")
        }
        guard let kind = gpuKind(request, sources) else {
            let capabilities = (request.Capabilities ?? []).map { "[\($0.joined(separator: " "))]" }.joined(separator: " ")
            throw EngineError(
                .invalidArgument, "could not select device driver \"\(request.Driver ?? "")\" with capabilities: [\(capabilities)]")
        }
        let known = sources.filter { $0.specification.kind == kind }.flatMap { $0.specification.devices.map(\.name) }
        return try devices(ids, count, known).compactMap { CDIName("\(kind)=\($0)") }
    }

    /// The kind that has the graphics processors: the driver's, or with no driver named NVIDIA's before others.
    private static func gpuKind(_ request: DeviceRequest, _ sources: [Source]) -> String? {
        guard (request.Capabilities ?? []).contains(where: { $0.contains("gpu") }) else { return nil }
        let kinds = Set(sources.map(\.specification.kind)).filter { $0.hasSuffix("/gpu") }.sorted()
        guard let driver = request.Driver, !driver.isEmpty else {
            return kinds.contains("nvidia.com/gpu") ? "nvidia.com/gpu" : kinds.first
        }
        return kinds.first { $0 == driver || $0 == "\(driver)/gpu" || $0 == "\(driver).com/gpu" }
    }

    private static func devices(_ ids: [String], _ count: Int, _ known: [String]) throws(EngineError) -> [String] {
        if !ids.isEmpty { return ids }
        if count == -1 { return known.contains("all") ? ["all"] : known }
        let numbered = known.filter { Int($0) != nil }.sorted { (Int($0) ?? 0) < (Int($1) ?? 0) }
        let single = numbered.isEmpty ? known.filter { $0 != "all" }.sorted() : numbered
        guard count >= 0, count <= single.count else {
            throw EngineError(.invalidArgument, "\(count) devices are asked for, and there are \(single.count)")
        }
        return Array(single.prefix(count))
    }

    // MARK: Files

    /// nil too where two files of the same directory have the device: neither is the right one.
    private static func find(_ name: CDIName, _ sources: [Source]) -> (Source, CDIEdits)? {
        let having = sources.compactMap { source -> (Source, CDIEdits)? in
            guard source.specification.kind == name.kind else { return nil }
            return source.specification.devices.first { $0.name == name.device }.map { (source, $0.edits) }
        }
        guard let best = having.map(\.0.priority).max() else { return nil }
        let candidates = having.filter { $0.0.priority == best }
        return candidates.count == 1 ? candidates[0] : nil
    }

    private func sources() -> [Source] {
        var found: [Source] = []
        for (priority, directory) in directories.enumerated() {
            // A machine without such devices has no directory for them.
            guard let opened = try? OwnedFD.open(directory, [.readOnly, .directory]), let names = try? namesInDirectory(opened) else { continue }
            for name in names.map(\.description).sorted() {
                guard let kind = [".json", ".yaml", ".yml"].first(where: name.hasSuffix) else { continue }
                let file = directory.appending(name)
                do {
                    let bytes = try OwnedFD.open(file, .readOnly).readAll(limit: Self.largestFile)
                    let document = kind == ".json" ? try JSONValue.parse(bytes) : try PlainYAML.parse(bytes)
                    found.append(Source(specification: try CDISpecification(document), priority: priority, file: file))
                } catch {
                    logger.warning("a CDI file is left out", metadata: ["file": "\(file)", "error": "\(error)"])
                }
            }
        }
        return found
    }
}

extension RuntimeSpec {
    /// Gives the container what its devices need. Blocks for a moment.
    mutating func apply(_ edits: [CDIEdits]) throws {
        for edit in edits {
            for variable in edit.env {
                process.env.removeAll { ImageDefaults.variableName($0) == ImageDefaults.variableName(variable) }
                process.env.append(variable)
            }
            for node in edit.nodes { try add(node) }
            for mount in edit.mounts {
                mounts.removeAll { $0.destination == mount.destination }
                mounts.append(mount)
            }
            for group in edit.groups where !process.user.additionalGids.contains(group) { process.user.additionalGids.append(group) }
            for (point, hook) in edit.hooks { add(hook, at: point) }
        }
    }

    private mutating func add(_ node: CDIEdits.Node) throws {
        guard let device = try ContainerDevices.device(FilePath(node.hostPath), as: node.path) ?? node.described else {
            throw EngineError(.invalidArgument, "CDI device injection failed: \(node.hostPath) is no device node")
        }
        var own = device
        own.fileMode = node.fileMode ?? device.fileMode
        own.uid = node.uid ?? device.uid
        own.gid = node.gid ?? device.gid
        linux.devices.removeAll { $0.path == own.path }
        linux.devices.append(own)
        linux.resources?.devices.append(
            DeviceRule(allow: true, type: own.type, major: own.major, minor: own.minor, access: node.permissions))
    }

    private mutating func add(_ hook: Hook, at point: String) {
        var all = hooks ?? Hooks()
        switch point {
        case "prestart": all.prestart.append(hook)
        case "createRuntime": all.createRuntime.append(hook)
        case "createContainer": all.createContainer.append(hook)
        default: all.startContainer.append(hook)
        }
        hooks = all
    }
}

extension CDIEdits.Node {
    /// The device as the file itself describes it.
    fileprivate var described: RuntimeSpec.Device? {
        guard let type, let major, let minor else { return nil }
        return RuntimeSpec.Device(path: path, type: type, major: major, minor: minor)
    }
}
