import Blocking
import Images
import Linux
import OCI

/// Where a step reads files from: the context, a stage or an image.
struct StepSource: Sendable {
    var tree: SourceTree
    /// Have to stay while the tree is read; nil for the context.
    var layers: [Digest]?
}

extension BuildRun {
    /// - Parameter name: what `from` says; nil is the context.
    mutating func source(_ name: String?, stage: Int) async throws -> StepSource {
        guard let name else { return StepSource(tree: context, layers: nil) }
        let layers: [Digest]
        if let named = request.namedContexts[name.lowercased()] {
            guard case .image(let reference) = named else { return StepSource(tree: try await tree(of: named), layers: nil) }
            layers = try await image(reference).layers
        } else if let index = plan.stage(named: name, before: stage) {
            let (before, known, usedCache) = (arguments, finished[index] != nil, usesCache)
            try await buildStage(index)
            usesCache = usedCache
            if !known {
                // Only a trigger asks for a stage that nobody has built: its arguments are not ours.
                var mine = before
                mine.merge(arguments)
                arguments = mine
            }
            layers = finished[index]?.state.layers ?? []
        } else if let number = Int(name), number >= 0 {
            throw BuildError.invalid("invalid from flag value \(name): invalid stage index")
        } else {
            layers = name == "scratch" ? [] : try await image(name).layers
        }
        return try await source(layers)
    }

    func source(_ layers: [Digest]) async throws -> StepSource {
        hold.add(layers)
        let store = build.images.layers
        let root = try await blocking { OpenDirectory(try store.mount(layers: layers, upper: nil, work: nil)) }
        return StepSource(tree: SourceTree(root: root, ignored: nil, keepsOwners: true), layers: layers)
    }

    /// A named context has an ignore file of its own.
    func tree(of named: BuildRequest.NamedContext) async throws -> SourceTree {
        guard case .directory(let directory) = named else { return context }
        return try await blocking {
            let root = OpenDirectory(try OwnedFD.open(directory, [.readOnly, .directory]))
            return SourceTree(
                root: root, directory: directory, ignored: try ContextFiles.ignored(nil, root), keepsOwners: false)
        }
    }
}
