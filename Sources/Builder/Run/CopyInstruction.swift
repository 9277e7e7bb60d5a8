import Blocking
import BuildContext
import Images
import Linux
import OCI

// `COPY` and `ADD`
extension BuildRun {
    mutating func copy(_ command: CopyCommand, on state: inout ImageState, stage: Int) async throws {
        let source = try await source(command.from, stage: stage)
        let job = try await job(command, state, source.tree)
        let sourceLayers = source.layers ?? []
        let found = try await build.images.layers.holding(sourceLayers) { try await stoppable { try job.find($0) } }
        job.tree.seen?.complete()
        let createdBy = history(state, "#(nop) \(command.keyword) \(found.digest) in \(job.destination) ")
        // A linked layer is the same on whatever it lies, unless names of users are looked up there.
        let isIndependent = command.isLinked && job.chown?.contains { !$0.isNumber && $0 != ":" } != true
        var key = CacheKey(command.isLinked ? "linked copy" : "copy", parent: isIndependent ? nil : state.content)
        key.add(createdBy)
        key.add([job.chown ?? "", job.mode?.description ?? "", "\(job.unpacks.map { "\($0)" } ?? "")", "\(job.keepsParents)"])
        // The digest of a repository is that of all its files.
        if !job.remotes.isEmpty { key.add(command.excludes) }
        key.facts.files = found.files
        let layers = state.layers
        let isLinked = command.isLinked
        try await finish(state, createdBy, key, on: &state) { run, scratch in
            let store = run.build.images.layers
            var fetched: [RemoteSource.Fetched] = []
            for remote in job.remotes { fetched.append(try await run.fetch(remote)) }
            let items = fetched
            try await store.holding(layers + sourceLayers) {
                try await stoppable { stop in
                    let root = try scratch.root(isLinked ? [] : layers, store)
                    let names = isLinked ? OpenDirectory(try store.mount(layers: layers, upper: nil, work: nil)) : root
                    try job.write(found, items, to: root, names: names, stop)
                    // What is kept under a digest has to be what has it.
                    if let seen = job.tree.seen, try job.find(stop).digest != found.digest || seen.hasChanged {
                        throw BuildError.contextIsBorrowed
                    }
                }
            }
        }
    }

    private func job(_ command: CopyCommand, _ state: ImageState, _ tree: SourceTree) async throws -> CopyJob {
        let expand = expander(state)
        var sources = try command.sources.map { word throws(BuildError) in try expand.word(word) }
        let destination = try destination(try expand.word(command.destination), state)
        let checksum = try command.checksum.map { text throws(BuildError) in try expand.word(text) }
        var remotes: [RemoteSource] = []
        if command.isAdd {
            let addresses = try sources.filter { try RemoteSource.isRemote($0) }
            sources.removeAll { addresses.contains($0) }
            if checksum != nil, addresses.count != 1 || !sources.isEmpty {
                throw BuildError.invalid("checksum can't be specified for multiple sources or local files")
            }
            for address in addresses {
                remotes.append(try await remote(address, command, checksum: checksum, destination: destination))
            }
        }
        return CopyJob(
            keyword: command.keyword, sources: sources, destination: destination,
            chown: try command.chown.map { text throws(BuildError) in try expand.word(text) },
            mode: try command.chmod.map { text throws(BuildError) in try ModeChange(try expand.word(text)) },
            files: try files(command, expand), excludes: try excludes(command), unpacks: command.unpacks,
            keepsParents: command.keepsParents, tree: try tree.watched(), remotes: remotes)
    }

    /// Absolute, with the slash at the end that says "into this directory".
    private func destination(_ text: String, _ state: ImageState) throws(BuildError) -> String {
        if text.isEmpty { throw .invalid("the destination of COPY or ADD is empty") }
        let path = CleanPath.join(state.workingDirectory, text)
        let isDirectory = text.hasSuffix("/") || text.hasSuffix("/.") || text == "." || text == ".."
        return isDirectory && path != "/" ? path + "/" : path
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
