import Blocking
import BuildContext
import Images
import Linux
import OCI

// `COPY` and `ADD`
extension BuildRun {
    mutating func copy(_ command: CopyCommand, on state: inout ImageState, stage: Int) async throws {
        let source = try await source(of: command, stage: stage)
        let job = try job(command, state, source.tree)
        let found = try await build.images.layers.holding(source.layers) { try await stoppable { try job.find($0) } }
        let createdBy = history(state, "#(nop) \(command.keyword) \(found.digest) in \(job.destination) ")
        var key = CacheKey("copy", parent: state.id)
        key.add(createdBy)
        key.add([job.chown ?? "", job.permissions.map { String($0, radix: 8) } ?? "", "\(job.extracts)"])
        let layers = state.layers
        try await finish(state, createdBy, key, on: &state) { run, scratch in
            let store = run.build.images.layers
            try await store.holding(layers + source.layers) {
                try await stoppable { stop in
                    let root = try scratch.root(layers, store)
                    try job.write(found, to: root, stop)
                }
            }
        }
    }

    private struct Source: Sendable {
        var tree: SourceTree
        /// Have to stay while the tree is read.
        var layers: [Digest]
    }

    private mutating func source(of command: CopyCommand, stage: Int) async throws -> Source {
        guard let name = command.from else { return Source(tree: context, layers: []) }
        let layers: [Digest]
        if let index = plan.stage(named: name, before: stage) {
            let (before, known) = (arguments, finished[index] != nil)
            try await buildStage(index)
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
            layers = try await image(name).layers
        }
        let store = build.images.layers
        let root = try await blocking { OpenDirectory(try store.mount(layers: layers, upper: nil, work: nil)) }
        return Source(tree: SourceTree(root: root, ignored: nil, keepsOwners: true), layers: layers)
    }

    private func job(_ command: CopyCommand, _ state: ImageState, _ tree: SourceTree) throws -> CopyJob {
        let expand = expander(state)
        let sources = try command.sources.map { word throws(BuildError) in try expand.word(word) }
        for source in sources where command.isAdd { try refuseRemote(source) }
        return CopyJob(
            keyword: command.keyword, sources: sources,
            destination: try destination(try expand.word(command.destination), state),
            chown: try command.chown.map { text throws(BuildError) in try expand.word(text) },
            permissions: try permissions(command, expand), files: try files(command, expand),
            excludes: try excludes(command), extracts: command.isAdd && command.unpacks != false, tree: tree)
    }

    private func refuseRemote(_ source: String) throws(BuildError) {
        let isURL = ["http://", "https://", "ftp://", "git://", "ssh://", "git@"].contains { source.hasPrefix($0) }
        if isURL { throw .invalid("ADD of a URL is not available yet: \(source)") }
    }

    /// Absolute, with the slash at the end that says "into this directory".
    private func destination(_ text: String, _ state: ImageState) throws(BuildError) -> String {
        if text.isEmpty { throw .invalid("the destination of COPY or ADD is empty") }
        let path = CleanPath.join(state.workingDirectory, text)
        let isDirectory = text.hasSuffix("/") || text.hasSuffix("/.") || text == "." || text == ".."
        return isDirectory && path != "/" ? path + "/" : path
    }

    private func permissions(_ command: CopyCommand, _ expand: Expander) throws(BuildError) -> UInt32? {
        guard let text = command.chmod else { return nil }
        let word = try expand.word(text)
        guard let mode = UInt32(word, radix: 8), mode <= 0o7777 else {
            throw .invalid("invalid chmod parameter: '\(word)'. it should be octal string and between 0 and 07777")
        }
        return mode
    }

    private func excludes(_ command: CopyCommand) throws(BuildError) -> IgnorePatterns? {
        if command.excludes.isEmpty { return nil }
        do {
            return try IgnorePatterns(lines: command.excludes)
        } catch {
            throw .invalid("\(error)")
        }
    }

    private func files(_ command: CopyCommand, _ expand: Expander) throws(BuildError) -> [CopyJob.InlineFile] {
        try command.heredocs.map { heredoc throws(BuildError) in
            let content = heredoc.expands ? try expand.body(heredoc.content) : heredoc.content
            return CopyJob.InlineFile(name: heredoc.name, content: Array(content.utf8))
        }
    }
}
