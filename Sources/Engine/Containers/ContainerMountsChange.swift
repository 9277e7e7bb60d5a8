import Blocking
import DockerAPI
import Linux
import Logging
import OCI

extension Container {
    /// Mounts come and go: of a running container at once, of another one at its next start.
    func change(_ change: MountsChange, _ undo: inout UndoStack) async throws {
        guard !change.isEmpty else { return }
        let leaving = try change.leaving(from: record.mounts)
        let notes = NotedVolumes(in: paths.data)
        undo.add("remove the volumes made") { [volumes, registry] in
            let names = try await blocking { try notes.names() }
            // By `--volumes-from` another container may have got one meanwhile.
            for name in await registry.unused(names, of: volumes) { try await volumes.remove(name) }
            try await blocking { try notes.forget() }
        }
        let resolution = MountResolution(volumes: volumes, images: context.images, registry: registry, notes: notes)
        var coming: [ResolvedMount] = []
        for mount in change.coming { coming.append(try await resolution.resolve(mount)) }
        coming.sort { $0.destination < $1.destination }
        try MountsChange.check(coming, with: record.mounts)
        try (coming + record.mounts).checkScopes()
        try await CopyUp(context: context, volumes: volumes).fill(coming, layers: try layers)
        try await exchange(leaving, for: coming, lazily: change.lazily)
        undo.add("take the change of the mounts back") { [coming] in try await self.exchange(coming, for: leaving, lazily: true) }
    }

    private func exchange(_ leaving: [ResolvedMount], for coming: [ResolvedMount], lazily: Bool) async throws {
        while true {
            if case .starting = phase {
                await startSettled()
            } else if let earlier = mountsWork {
                _ = await earlier.result  // Its failure was its caller's.
            } else {
                break
            }
        }
        // From here on a start waits, and takes what is in the row then.
        let work = Task {
            defer { mountsWork = nil }
            try await exchangeNow(leaving, for: coming, lazily: lazily)
        }
        mountsWork = work
        try await work.value
    }

    private func exchangeNow(_ leaving: [ResolvedMount], for coming: [ResolvedMount], lazily: Bool) async throws {
        let before = record.mounts
        // The row has them before they are there, and until they are gone: so nobody takes a volume from under the container.
        record.mounts = (before + coming).sorted { $0.destination < $1.destination }
        do {
            if !coming.isEmpty { try await save() }
            if let process = phase.process { try await exchangeLive(leaving, for: coming, process, lazily: lazily) }
        } catch {
            // What may be there keeps its volume, and can be taken away.
            if error is LiveMounts.CutOff { throw error }
            record.mounts = before
            if !coming.isEmpty { await saveOrReport() }
            throw error
        }
        record.mounts.removeAll { leaving.contains($0) }
    }

    private func exchangeLive(
        _ leaving: [ResolvedMount], for coming: [ResolvedMount], _ process: RunningContainer, lazily: Bool
    ) async throws {
        do {
            for mount in coming where mount.kind == .volume { try await volumes.use(mount.name, by: id) }
            if apiListener == nil { try await openAPISocket(for: process) }
            let made = try await MadeMounts.make(coming, images: context.images)
            let planned = try await planned(coming, made, process)
            let live = LiveMounts(context: context, pid: process.pid, id: id, paths: paths, listed: record.mounts)
            do {
                try await live.change(coming: planned, made: made.all.map(\.mount), leaving: leaving, lazily: lazily)
            } catch let cutOff as LiveMounts.CutOff {
                try await undo(cutOff, leaving, for: coming, process, live)
            }
        } catch {
            if error is LiveMounts.CutOff, phase.process?.pid == process.pid { throw error }
            let kept = record.mounts.filter { !coming.contains($0) }
            await releaseUnless(coming, keptBy: kept)
            if !kept.contains(where: { $0.kind == .engineSocket }) { closeAPISocket() }
            // Its end came first: then the next start does as the row says.
            guard phase.process?.pid == process.pid else { return }
            throw error
        }
        let kept = record.mounts.filter { !leaving.contains($0) }
        await releaseUnless(leaving, keptBy: kept)
        if !kept.contains(where: { $0.kind == .engineSocket }) { closeAPISocket() }
        publishVolumes("unmount", leaving)
        publishVolumes("mount", coming)
    }

    /// Throws always: a plain error when all is as it was before, otherwise `CutOff`.
    private func undo(
        _ cutOff: LiveMounts.CutOff, _ leaving: [ResolvedMount], for coming: [ResolvedMount], _ process: RunningContainer, _ live: LiveMounts
    ) async throws {
        guard cutOff.isOver else { throw cutOff }
        do {
            let made = try await MadeMounts.make(leaving, images: context.images)
            try await live.undo(coming: coming, leaving: try await planned(leaving, made, process), made: made.all.map(\.mount))
        } catch {
            logger.warning("a change of the mounts was cut off and cannot be undone", metadata: ["error": "\(error)"])
            throw cutOff
        }
        throw EngineError(.internalError, "the mounts could not be changed in time, perhaps by a file system that does not answer")
    }

    /// As the runtime takes them.
    private func planned(_ coming: [ResolvedMount], _ made: MadeMounts, _ process: RunningContainer) async throws -> [RuntimeSpec.Mount] {
        let (record, paths, program) = (record, paths, context.paths.runtime)
        return try await blocking {
            var mounts = ContainerMounts(
                record: record, paths: paths, privileged: record.hostConfig.Privileged == true, runtime: program, made: made.places)
            var bare = mounts
            bare.record.mounts = []
            let others = record.mounts.filter { !coming.contains($0) }.map(\.destination)
            try MountsChange.checkCovers(coming, over: try bare.make().map(\.destination) + others)
            if coming.contains(where: { $0.ownerMapping != nil }) {
                let identity = try UserLookup(root: try ContainerRoot.open(pid: process.pid)).identity(record.config.User ?? "")
                mounts.user = .init(user: identity.uid, group: identity.gid)
            }
            return try coming.map(mounts.userMount)
        }
    }

    private func releaseUnless(_ mounts: [ResolvedMount], keptBy others: [ResolvedMount]) async {
        for mount in mounts where mount.kind == .volume && !others.contains(where: { $0.name == mount.name }) {
            await volumes.release(mount.name, by: id, logger)
        }
    }
}
