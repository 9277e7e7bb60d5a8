import Linux
import Logging
import OCI
import Store
import Synchronization
import SystemPackage

// How layers come and go. All of it may block.
extension LayerStore {
    /// A place for a layer that is being made; it becomes a layer with `publish` or is removed with `discard`.
    func beginLayer() throws -> FilePath {
        let place = temporary.appending("layer-\(String(UInt64.random(in: .min ... .max), radix: 36))")
        try makeDirectories(place.appending("diff"), mode: 0o755)
        return place
    }

    /// Makes a finished place a layer, whose files are on disk before anything says that it exists. If the layer exists
    /// already, the place is removed. `hold` has the layer before anybody could find that nobody needs it. After a failure
    /// the place is as it was. `isSynced` says that the files are on disk.
    func publish(_ place: FilePath, as layer: Digest, size: Int64, heldBy hold: LayerHold? = nil, isSynced: Bool = false) throws {
        // Before the lock, which short calls of others wait for.
        if try !isSynced && !isWhole(layer) { try syncFilesystem(of: place) }
        try held.withLock { held in
            if let hold {
                held[layer, default: 0] += 1
                hold.note([layer])
            }
            guard try !isWhole(layer) else { return }
            // A directory without a row: left by a crash between the steps below.
            if try lstatIfExists(directory(layer)) != nil { try moveAway(layer) }
            try rename(place, to: directory(layer))
            do {
                try syncDirectory(root)
                try records.insert(layer, size: size)
            } catch {
                try rename(directory(layer), to: place)
                throw error
            }
        }
        try removeTree(place)
    }

    /// Whether a layer has its row and its files. One that lost them, or was found damaged, may come anew and is whole then.
    func isWhole(_ layer: Digest) throws -> Bool {
        try records.size(layer) != nil && lstatIfExists(directory(layer)) != nil && lstatIfExists(damageMark(layer)) == nil
    }

    /// Removes a place that will not become a layer.
    func discard(_ place: FilePath) {
        do {
            try removeTree(place)
        } catch {
            logger.warning(
                "unfinished layer cannot be removed", metadata: ["path": "\(place)", "error": "\(error)"])
        }
    }

    /// Removes the layers that nobody needs, all or among those named.
    func removeUnusedNow(among layers: [Digest]?) throws -> FreedLayers {
        let (removed, places) = try held.withLock { held in
            let removed = try records.deleteUnused(among: layers, except: Set(held.keys))
            return (removed, try removed.map { try moveAway($0) })
        }
        var freed = FreedLayers(layers: removed, bytes: 0)
        for place in places {
            freed.bytes += try allocatedBytes(of: place)
            discard(place)
        }
        return freed
    }

    /// At start: removes directories without a row and rows that nobody needs. What has a name that is not ours stays.
    func sweep() throws {
        _ = try removeUnusedNow(among: nil)
        let known = try records.all()
        for name in try namesInDirectory(OwnedFD.open(root, [.readOnly, .directory])) where name != "empty" {
            guard let layer = try? Digest(hex: name.description) else {  // Not a digest, so not ours.
                logger.warning("unknown file among the layers", metadata: ["name": "\(name)"])
                continue
            }
            if known[layer] == nil { discard(try moveAway(layer)) }
        }
        for layer in known.keys where try lstatIfExists(path(layer)) == nil {
            logger.error("the files of a layer are missing", metadata: ["layer": "\(layer)"])
        }
    }

    /// Takes a layer's directory out of sight in one step; removing the files can then take its time.
    @discardableResult
    private func moveAway(_ layer: Digest) throws -> FilePath {
        let place = temporary.appending("removed-\(layer.hex)-\(UInt32.random(in: .min ... .max))")
        if try lstatIfExists(directory(layer)) != nil { try rename(directory(layer), to: place) }
        return place
    }
}
