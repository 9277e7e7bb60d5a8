import Blocking
import BuildContext
import Images
import Linux
import OCI
import SystemPackage

// The mounts of a `RUN`: what they are, worked out before it is known whether the command runs at all.
extension BuildRun {
    struct PlannedMount: Sendable {
        var mount: RunMount
        /// Absolute; empty for a secret that is no file.
        var target: String
        /// Of a bind, and of a cache that begins with something.
        var source: StepSource?
        /// Says what the mount shows, for the key of the step's result.
        var key: [String]
        /// Files of the context that it shows, each with the beginning of its digest.
        var files: [String: String] = [:]

        var cacheName: String { mount.id.isEmpty ? target : mount.id }
    }

    /// Which cache a mount is, in the form of a directory's name.
    func cacheMountKey(_ plan: PlannedMount) -> String {
        let mount = plan.mount
        var key = CacheKey("cache mount", parent: nil)
        key.add([request.buildArgs["BUILDKIT_CACHE_MOUNT_NS"].flatMap(\.self) ?? "", plan.cacheName])
        key.add((plan.source?.layers ?? []).map(\.description) + (mount.from == nil ? [] : [CleanPath.relative(mount.source)]))
        key.add("\(mount.mode ?? 0o755) \(mount.uid ?? 0):\(mount.gid ?? 0)")
        return String(key.text.drop { $0 != ":" }.dropFirst())
    }

    mutating func planMounts(_ command: RunCommand, _ state: ImageState, stage: Int) async throws -> [PlannedMount] {
        var planned: [PlannedMount] = []
        let expand = expander(state)
        for text in command.mounts {
            let mount = try RunMount(text) { text throws(BuildError) in try expand.word(text) }
            let agents = planned.count { $0.mount.kind == .ssh }
            var plan = PlannedMount(mount: mount, target: try target(of: mount, state, agents), source: nil, key: [])
            // Not the value of a secret, nor whether there is one.
            plan.key = [mount.kind.rawValue, mount.id, plan.target, mount.variable ?? "", "\(mount.readOnly) \(mount.sizeBytes)"]
            if mount.kind == .bind || (mount.kind == .cache && mount.from != nil) {
                let source = try await source(mount.from, stage: stage)
                plan.source = source
                let (key, files) = try await contentKey(mount, source)
                plan.key += key
                plan.files = files
            } else if mount.kind == .cache, !CleanPath.relative(mount.source).isEmpty, CleanPath.relative(mount.source) != "." {
                throw BuildError.invalid("a cache mount with a source needs a from")
            }
            if mount.kind == .cache { notes.add(mount: cacheMountKey(plan), named: plan.cacheName) }
            planned.append(plan)
        }
        return planned
    }

    /// Before anything reads the contexts: what commands will see of them is all that is there.
    func pruneContexts() async throws {
        let hasMounts = needed.contains { stage in
            plan.stages[stage].steps.contains { step in
                guard case .run(let command) = step.kind else { return false }
                return command.mounts.contains { !context.isBorrowed || Self.mayShowContext($0) }
            }
        }
        guard hasMounts else { return }
        try await prunedContexts.prune(context)
        for (_, named) in request.namedContexts {
            if case .directory = named { try await prunedContexts.prune(try await tree(of: named)) }
        }
    }

    /// Whether a mount, whose variables are not known yet, may be a bind of the context.
    private static func mayShowContext(_ mount: String) -> Bool {
        let options = mount.lowercased().split(separator: ",")
        return !options.contains { ["type=cache", "type=tmpfs", "type=secret", "type=ssh"].contains($0) || $0.hasPrefix("from=") }
    }

    /// - Parameter agents: how many sockets of agents come before
    private func target(of mount: RunMount, _ state: ImageState, _ agents: Int) throws(BuildError) -> String {
        var text = mount.target
        if text.isEmpty, mount.kind == .ssh {
            text = "/run/buildkit/ssh_agent.\(agents)"
        } else if text.isEmpty {
            guard mount.kind == .secret, mount.variable == nil else { return "" }
            text = "/run/secrets/" + (mount.id.split(separator: "/").last.map(String.init) ?? mount.id)
        }
        let path = CleanPath.clean(CleanPath.join(state.workingDirectory, text))
        guard path != "/", !path.utf8.contains(0) else { throw .invalid("invalid mount target \(GoQuote.quoted(path))") }
        return path
    }

    /// A result of another day counts only when the command saw the same files then.
    private func contentKey(_ mount: RunMount, _ source: StepSource) async throws
        -> (key: [String], files: [String: String])
    {
        let path = CleanPath.relative(mount.source)
        if let layers = source.layers { return (layers.map(\.description) + [path], [:]) }
        let tree = source.tree
        try await prunedContexts.prune(tree)
        return try await stoppable { stop in
            guard let entry = try tree.entries(matching: path).first else {
                throw BuildError.failed("RUN --mount failed: stat \(path): file does not exist")
            }
            let (digest, files) = try TreeDigest.listing(entry, TreeWalk(tree: tree, excludes: nil, stop: stop))
            return ([digest.description, path], files)
        }
    }
}

/// What the ignore file leaves out is not there for a command either: it is removed from the build's own copy of the context.
actor PrunedContexts {
    private var begun: [FilePath: Task<Void, any Error>] = [:]

    func prune(_ tree: SourceTree) async throws {
        if tree.isBorrowed { throw BuildError.contextIsBorrowed }
        guard let directory = tree.directory, let ignored = tree.ignored else { return }
        if let begun = begun[directory] { return try await begun.value }
        let root = tree.root
        let task = Task { try await blocking { try Self.prune(try reopenDirectory(root.fd), "", ignored) } }
        begun[directory] = task
        try await task.value
    }

    private static func prune(_ directory: borrowing OwnedFD, _ path: String, _ ignored: IgnorePatterns) throws {
        for name in try namesInDirectory(directory) {
            let inside = TreeWalk.join(path, name.description)
            let isDirectory = try fstatat(directory, name).kind == .directory
            guard isDirectory else {
                if ignored.excludes(inside) { try unlinkat(directory, name) }
                continue
            }
            if ignored.canPrune(inside) {
                try removeTree(in: directory, name)
                continue
            }
            let child = try openat(directory, name, [.readOnly, .directory, .noFollow])
            try prune(child, inside, ignored)
            if ignored.excludes(inside), try namesInDirectory(child).isEmpty { try unlinkat(directory, name, directory: true) }
        }
    }
}
