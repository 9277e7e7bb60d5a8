import DockerAPI
import EngineClient

/// What all `prune` commands share.
private enum PruneFlags {
    static let force = Flag<Bool>.toggle("force", short: "f", "Do not ask")
    static let filter = Flag<[String]>.list("filter", as: "filter", "Remove only what matches")

    static func query(_ call: Invocation, _ more: [String] = []) throws -> [(String, String)] {
        let settled = call.program.config.pruneFilters.filter { !call[filter].contains($0) }
        let filters = call[filter] + settled + more
        return filters.isEmpty ? [] : [("filters", try Filters.query(filters))]
    }

    /// Whether to go on.
    static func agreed(_ call: Invocation, _ warning: String) throws -> Bool {
        try call[force] || call.program.confirms(warning)
    }
}

/// Removes what is not used any more, and tells what it was.
private struct Pruning {
    let call: Invocation
    private(set) var reclaimed: Int64 = 0

    init(_ call: Invocation) { self.call = call }

    private func ask<Answer: Decodable & Sendable>(_ path: String, _ query: [(String, String)], _ type: Answer.Type)
        async throws -> Answer
    {
        try await call.program.engine.get(type, EngineRequest(.post, path, query: query))
    }

    mutating func containers() async throws {
        let answer = try await ask("/containers/prune", try PruneFlags.query(call), ContainersPruneResponse.self)
        try show("Deleted Containers:", answer.ContainersDeleted ?? [])
        if answer.ContainersDeleted?.isEmpty == false { reclaimed += answer.SpaceReclaimed ?? 0 }
    }

    mutating func images(all: Bool) async throws {
        let query = try PruneFlags.query(call, ["dangling=\(!all)"])
        let answer = try await ask("/images/prune", query, ImagesPruneResponse.self)
        if let removed = answer.ImagesDeleted, !removed.isEmpty {
            try call.program.write("Deleted Images:\n\(ImageRemoval.text(removed).lowercasedVerbs)\n")
            reclaimed += answer.SpaceReclaimed ?? 0
        }
    }

    mutating func volumes(all: Bool) async throws {
        let query = try PruneFlags.query(call, all ? ["all=1"] : [])
        let answer = try await ask("/volumes/prune", query, VolumesPruneResponse.self)
        try show("Deleted Volumes:", answer.VolumesDeleted ?? [])
        if answer.VolumesDeleted?.isEmpty == false { reclaimed += answer.SpaceReclaimed ?? 0 }
    }

    func networks() async throws {
        let answer = try await ask("/networks/prune", try PruneFlags.query(call), NetworksPruneResponse.self)
        try show("Deleted Networks:", answer.NetworksDeleted ?? [])
    }

    mutating func buildCache(all: Bool, keep: Int64? = nil) async throws {
        var query = try PruneFlags.query(call) + (all ? [("all", "1")] : [])
        if let keep { query.append(("keep-storage", "\(keep)")) }
        let answer = try await ask("/build/prune", query, BuildCachePruneResponse.self)
        try show("Deleted build cache objects:", answer.CachesDeleted ?? [])
        reclaimed += answer.SpaceReclaimed ?? 0
    }

    private func show(_ title: String, _ names: [String]) throws {
        guard !names.isEmpty else { return }
        try call.program.write("\(title)\n\(names.map { $0 + "\n" }.joined())\n")
    }

    func total(_ title: String = "Total reclaimed space:") throws {
        try call.program.print("\(title) \(HumanText.size(reclaimed))")
    }
}

extension String {
    /// Prune writes `untagged:` and `deleted:` where `rmi` writes capitals.
    fileprivate var lowercasedVerbs: String {
        replacing("Untagged: ", with: "untagged: ").replacing("Deleted: ", with: "deleted: ")
    }
}

extension Command {
    private static let all = Flag<Bool>.toggle("all", short: "a", "Remove everything unused, not only what has no name")

    static func pruneContainers() -> Command {
        Command(
            name: "prune", usage: "[OPTIONS]", summary: "Remove all stopped containers", arguments: .none,
            flags: [PruneFlags.filter, PruneFlags.force]
        ) { call in
            let warning = "WARNING! This will remove all stopped containers.\nAre you sure you want to continue?"
            guard try PruneFlags.agreed(call, warning) else { return 0 }
            var pruning = Pruning(call)
            try await pruning.containers()
            try pruning.total()
            return 0
        }
    }

    static func pruneImages() -> Command {
        Command(
            name: "prune", usage: "[OPTIONS]", summary: "Remove unused images", arguments: .none,
            flags: [all, PruneFlags.filter, PruneFlags.force]
        ) { call in
            let what = call[all] ? "all images without at least one container associated to them" : "all dangling images"
            guard try PruneFlags.agreed(call, "WARNING! This will remove \(what).\nAre you sure you want to continue?") else {
                return 0
            }
            var pruning = Pruning(call)
            try await pruning.images(all: call[all])
            try pruning.total()
            return 0
        }
    }

    static func pruneVolumes() -> Command {
        Command(
            name: "prune", usage: "[OPTIONS]", summary: "Remove unused volumes", arguments: .none,
            flags: [all, PruneFlags.filter, PruneFlags.force]
        ) { call in
            let what = call[all] ? "all local volumes" : "anonymous local volumes"
            let warning = "WARNING! This will remove \(what) not used by at least one container.\nAre you sure you want to continue?"
            guard try PruneFlags.agreed(call, warning) else { return 0 }
            var pruning = Pruning(call)
            try await pruning.volumes(all: call[all])
            try pruning.total()
            return 0
        }
    }

    static func pruneNetworks() -> Command {
        Command(
            name: "prune", usage: "[OPTIONS]", summary: "Remove all unused networks", arguments: .none,
            flags: [PruneFlags.filter, PruneFlags.force]
        ) { call in
            let warning =
                "WARNING! This will remove all custom networks not used by at least one container.\nAre you sure you want to continue?"
            guard try PruneFlags.agreed(call, warning) else { return 0 }
            try await Pruning(call).networks()
            return 0
        }
    }

    static func pruneBuilder() -> Command {
        let keep = Flag<Int64?>.bytes("keep-storage", "So much may stay, the most recently used of it")
        let reserved = Flag<Int64?>.bytes("reserved-space", "The same")
        return Command(
            name: "prune", usage: "[OPTIONS]", summary: "Remove the build cache", arguments: .none,
            flags: [all, PruneFlags.filter, PruneFlags.force, keep, reserved]
        ) { call in
            let what = call[all] ? "all build cache" : "all dangling build cache"
            guard try PruneFlags.agreed(call, "WARNING! This will remove \(what). Are you sure you want to continue?") else {
                return 0
            }
            var pruning = Pruning(call)
            try await pruning.buildCache(all: call[all], keep: call[keep] ?? call[reserved])
            try pruning.total("Total:\t")
            return 0
        }
    }

    static func pruneSystem() -> Command {
        let volumes = Flag<Bool>.toggle("volumes", "Remove anonymous volumes as well")
        return Command(
            name: "prune", usage: "[OPTIONS]", summary: "Remove everything that is not used", arguments: .none,
            flags: [all, PruneFlags.filter, PruneFlags.force, volumes]
        ) { call in
            if call[volumes], call[PruneFlags.filter].contains(where: { $0.hasPrefix("until=") }) {
                throw CommandFailure("ERROR: The \"until\" filter is not supported with \"--volumes\"")
            }
            let images = call[all] ? "all images without at least one container associated to them" : "all dangling images"
            let parts =
                ["all stopped containers", "all networks not used by at least one container"]
                + (call[volumes] ? ["all anonymous volumes not used by at least one container"] : [])
                + [images, call[all] ? "all build cache" : "unused build cache"]
            let list = parts.map { "  - \($0)\n" }.joined()
            let warning = "WARNING! This will remove:\n\(list)\nAre you sure you want to continue?"
            guard try PruneFlags.agreed(call, warning) else { return 0 }
            var pruning = Pruning(call)
            try await pruning.containers()
            try await pruning.networks()
            if call[volumes] { try await pruning.volumes(all: false) }
            try await pruning.images(all: call[all])
            try await pruning.buildCache(all: call[all])
            try pruning.total()
            return 0
        }
    }
}
