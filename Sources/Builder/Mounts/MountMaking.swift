import Blocking
import BuildContext
import Images
import Linux
import OCI
import SystemPackage

/// Makes the mounts of one command, and ends what was lent for them.
struct MountMaking: Sendable {
    let run: BuildRun
    let planned: [BuildRun.PlannedMount]
    let script: (path: String, content: String)?
    let scratch: StepScratch

    struct Made: Sendable {
        var mounts: [StepMount] = []
        /// Secrets that are variables.
        var environment: [String] = []
        var loans: [CacheMounts.Loan] = []
    }

    var layers: [Digest] { planned.flatMap { $0.source?.layers ?? [] } }

    /// Runs the body with the mounts. Caches are given back when it ends.
    func with<T: Sendable>(_ body: (Made) async throws -> T) async throws -> T {
        var made = Made()
        do {
            let caches = try await borrowCaches(&made)
            try await make(&made, caches)
            let result = try await body(made)
            await giveBack(made)
            return result
        } catch {
            await giveBack(made)
            throw error
        }
    }

    private func giveBack(_ made: Made) async {
        for loan in made.loans { await run.build.cacheMounts.end(loan) }
    }

    private func make(_ made: inout Made, _ caches: [Int: CacheMounts.Loan]) async throws {
        let files = try smallFiles()
        var small = try await SmallFile.mounts(of: files).makeIterator()
        for (index, plan) in planned.enumerated() {
            switch plan.mount.kind {
            case .bind:
                made.mounts.append(StepMount(target: plan.target, content: .mount(try await bind(plan, index))))
            case .cache:
                guard let loan = caches[index] else { continue }
                let isReadOnly = plan.mount.readOnly
                let mount = try await blocking {
                    let mount = try Mount.clone(of: loan.directory, recursive: false)
                    if isReadOnly { try Mount.setAttributes(mount, set: .readOnly) }
                    return SharedFD(mount)
                }
                made.mounts.append(StepMount(target: plan.target, content: .mount(mount)))
            case .tmpfs:
                let content = StepMount.Content.tmpfs(sizeBytes: plan.mount.sizeBytes, isReadOnly: plan.mount.readOnly)
                made.mounts.append(StepMount(target: plan.target, content: content))
            case .secret:
                guard let secret = run.request.secrets[plan.mount.id] else { continue }
                if let name = plan.mount.variable { made.environment.append("\(name)=\(String(decoding: secret, as: UTF8.self))") }
                if !plan.target.isEmpty, let mount = small.next() {
                    made.mounts.append(StepMount(target: plan.target, content: .mount(mount)))
                }
            case .ssh:
                guard let agent = run.request.agents[plan.mount.agentID] else { continue }
                let (mode, uid, gid) = (plan.mount.mode ?? 0o600, plan.mount.uid ?? 0, plan.mount.gid ?? 0)
                made.mounts.append(StepMount(target: plan.target, content: .agent(agent, mode: mode, uid: uid, gid: gid)))
                if !made.environment.contains(where: { $0.hasPrefix("SSH_AUTH_SOCK=") }) {
                    made.environment.append("SSH_AUTH_SOCK=\(plan.target)")
                }
            }
        }
        if let script, let mount = small.next() {
            made.mounts.append(StepMount(target: script.path, content: .mount(mount)))
        }
    }

    // MARK: Files in memory

    private func smallFiles() throws -> [SmallFile] {
        var files: [SmallFile] = []
        for plan in planned {
            let mount = plan.mount
            if mount.kind == .ssh, mount.isRequired, run.request.agents[mount.agentID] == nil {
                throw BuildError.failed("no SSH key \(GoQuote.quoted(mount.agentID)) forwarded from the client")
            }
            guard mount.kind == .secret else { continue }
            guard let content = run.request.secrets[mount.id] else {
                if mount.isRequired { throw BuildError.failed("secret \(mount.id): not found") }
                continue
            }
            if plan.target.isEmpty { continue }
            files.append(SmallFile(content: content, mode: mount.mode ?? 0o400, uid: mount.uid ?? 0, gid: mount.gid ?? 0))
        }
        if let script { files.append(SmallFile(content: Array(script.content.utf8), mode: 0o755)) }
        return files
    }

    // MARK: Binds

    private func bind(_ plan: BuildRun.PlannedMount, _ index: Int) async throws -> SharedFD {
        guard let source = plan.source else { throw BuildError.failed("RUN --mount: no source") }
        let path = CleanPath.relative(plan.mount.source)
        do {
            if plan.mount.readOnly, source.layers == nil {
                return try await blocking {
                    let mount = try Mount.clone(of: try source.tree.open(path), recursive: false)
                    try Mount.setAttributes(mount, set: [.readOnly, .noSetUserID, .noDevices])
                    return SharedFD(mount)
                }
            }
            let whole = try await whole(source, isReadOnly: plan.mount.readOnly, index)
            if path == "." { return whole }
            let isReadOnly = plan.mount.readOnly
            return try await onThrowawayThread {
                let part = try whole.withOwned { mount throws(SystemError) in try MountNamespace().clone(of: "/" + path, in: mount) }
                if isReadOnly { try Mount.setAttributes(part, set: .readOnly) }
                return SharedFD(part)
            }
        } catch let error as SystemError {
            guard error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory else { throw error }
            throw BuildError.failed("RUN --mount failed: stat \(path): file does not exist")
        }
    }

    /// What is written to a source goes to a directory of the step, and away with it.
    private func whole(_ source: StepSource, isReadOnly: Bool, _ index: Int) async throws -> SharedFD {
        let (store, place) = (run.build.images.layers, scratch.directory.appending("mount-\(index)"))
        return try await blocking {
            if isReadOnly { return SharedFD(try store.mount(layers: source.layers ?? [], upper: nil, work: nil)) }
            let (upper, work) = (place.appending("upper"), place.appending("work"))
            try makeDirectories(upper, mode: 0o755)
            try makeDirectories(work, mode: 0o700)
            // The top of the mount looks like the top of the source.
            let top = try fstat(source.tree.root.fd)
            let directory = try OwnedFD.open(upper, [.readOnly, .directory])
            try fchown(directory, uid: top.uid, gid: top.gid)
            try fchmod(directory, mode: top.permissions)
            guard let lower = source.tree.directory else {
                return SharedFD(try store.mount(layers: source.layers ?? [], upper: upper, work: work, isScratch: true))
            }
            return SharedFD(try LayerStore.scratch(over: [lower], upper: upper, work: work))
        }
    }

    // MARK: Caches

    /// In the order of their keys, so that two commands never wait for each other.
    private func borrowCaches(_ made: inout Made) async throws -> [Int: CacheMounts.Loan] {
        var loans: [Int: CacheMounts.Loan] = [:]
        let wanted = planned.enumerated().filter { $0.element.mount.kind == .cache }
            .map { (index: $0.offset, plan: $0.element, key: run.cacheMountKey($0.element)) }
            .sorted { ($0.key, $0.index) < ($1.key, $1.index) }
        for (index, plan, key) in wanted {
            // The same cache twice in one command is lent once.
            if let other = wanted.first(where: { $0.key == key && $0.index < index }), plan.mount.sharing != .private {
                loans[index] = loans[other.index]
                continue
            }
            let loan = try await run.build.cacheMounts.begin(key, named: plan.cacheName, plan.mount.sharing) { place in
                try await fill(place, plan, plan.source == nil ? run.importedMount(key) : nil)
            }
            made.loans.append(loan)
            loans[index] = loan
        }
        return loans
    }

    /// - Parameter imported: what a cache from elsewhere has of it
    private func fill(_ place: FilePath, _ plan: BuildRun.PlannedMount, _ imported: StepSource?) async throws {
        let mount = plan.mount
        try await stoppable { stop in
            try makeDirectories(place, mode: 0o700)
            let directory = try OwnedFD.open(place, [.readOnly, .directory])
            if let source = plan.source ?? imported {
                let path = imported == nil ? CleanPath.relative(mount.source) : "."
                guard try source.tree.root.kind(of: "/" + path) == .directory else {
                    throw BuildError.failed("RUN --mount failed: stat \(path): no such directory")
                }
                let target = OpenDirectory(try directory.duplicate())
                var copy = TreeCopy(
                    walk: TreeWalk(tree: source.tree, excludes: nil, stop: stop), target: target, owner: nil, permissions: nil)
                try copy.copyDirectory(SourceTree.Entry(path: path, isDirectory: true), to: "/")
            }
            try fchown(directory, uid: mount.uid ?? 0, gid: mount.gid ?? 0)
            try fchmod(directory, mode: mount.mode ?? 0o755)
        }
    }
}
