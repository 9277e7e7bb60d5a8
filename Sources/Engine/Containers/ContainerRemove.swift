import Blocking
import Linux
import Logging
import Store

extension Container {
    /// `docker rm`: the row goes first, so that a crash leaves directories without a row, which the next start sweeps. Only
    /// where the row cannot be written, on a full disk, the files go first.
    ///
    /// With `tellsFirst` those who wait hear of it before the files have gone.
    func remove(force: Bool, removeVolumes: Bool, tellsFirst: Bool = false) async throws {
        if force { await startSettled() }
        if phase.isLive {
            guard force else {
                let what =
                    phase.isPaused
                    ? "container is paused and must be unpaused first" : "container is running: stop the container before removing or force remove"
                throw EngineError(.conflict, "cannot remove container \"\(record.name)\": \(what)")
            }
            record.state.stoppedByUser = true
            if let process = phase.process {
                try await send(.kill, to: process, because: .remove)
                publish("kill", ["signal": "9"])
            }
            guard try await waitForEnd(seconds: 10) else {
                throw EngineError(.internalError, "could not kill container \(shortID(id))")
            }
        }
        cancelRestart()
        // The end of a container with --rm removes it: then there is nothing left to do.
        if case .removed = phase, force { return }
        let before = phase
        do {
            try phase.beginRemove()
        } catch {
            throw EngineError(error.kind, "removal of container \(record.name) \(error.message)")
        }
        // What is under way ends first: it notes volumes and changes the mounts. No other one begins.
        _ = await (lastUpdate?.result, mountsWork?.result)  // Their failures were their callers'.
        let leaving = removeVolumes ? await anonymousVolumes() : []
        do {
            await note(leaving)
            await savesSettled()
            try await deleteRow()
        } catch {
            phase = before
            await forgetNoted(leaving)
            throw error
        }
        await registry.remove(id: id, name: record.name)
        // Until now somebody could get them by `--volumes-from`.
        for volume in leaving {
            if await !registry.isVolumeUsed(volume, besides: id) { await removeVolume(volume) }
        }
        if !tellsFirst { await removeFiles() }
        phase = .removed
        publish("destroy")
        resumeWaiters(for: [.notRunning, .nextExit, .removed])
        endPendingAttaches()
        if tellsFirst { await removeFiles() }
    }

    private func deleteRow() async throws {
        do {
            try await context.database.containers.delete(id: id)
        } catch {
            // On a full disk there is no room even for saying that a row goes: the files make some.
            await removeFiles()
            try await context.database.containers.delete(id: id)
        }
    }

    private func removeFiles() async {
        let paths = paths
        do {
            try await blocking {
                try removeTree(paths.runtime)
                try removeTree(paths.data)
            }
        } catch {
            logger.warning("could not remove the files of a container; the next start will", metadata: ["error": "\(error)"])
        }
    }

    /// Those that go with the container: `--volumes-from` may have given some of its own to others.
    private func anonymousVolumes() async -> [String] {
        var names: [String] = []
        for mount in record.mounts where mount.kind == .volume && mount.anonymous {
            if await !registry.isVolumeUsed(mount.name, besides: id) { names.append(mount.name) }
        }
        return names
    }

    private func note(_ volumes: [String]) async {
        if volumes.isEmpty { return }
        let notes = NotedVolumes(in: paths.data)
        do {
            try await blocking { try notes.note(volumes) }
        } catch {
            logger.warning("a crash would leave volumes of a container that is removed", metadata: ["error": "\(error)"])
        }
    }

    /// The container stays, and so do its volumes.
    private func forgetNoted(_ volumes: [String]) async {
        if volumes.isEmpty { return }
        let notes = NotedVolumes(in: paths.data)
        do {
            try await blocking { try notes.forget() }
        } catch {
            logger.warning("volumes of a container that stays may be removed with it later", metadata: ["error": "\(error)"])
        }
    }

    private func removeVolume(_ name: String) async {
        do {
            try await volumes.remove(name)
        } catch {
            logger.warning("could not remove a volume", metadata: ["volume": "\(name)", "error": "\(error)"])
        }
    }
}
