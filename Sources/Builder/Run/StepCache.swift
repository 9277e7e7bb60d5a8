import FoundationEssentials
import Images
import Linux
import OCI
import Store

// What earlier builds made, here and elsewhere. A result counts only while its layer is in the store.
extension BuildRun {
    private struct CachedStep: Sendable {
        var history: ImageConfig.History
        var layer: Digest?
    }

    /// What comes of a step by an earlier result; nil when there is none.
    ///
    /// A result of this machine's own comes first. Where a cache from elsewhere has another one of the same step, both ways are
    /// followed as far as they go, so that the cache can still be taken from where this machine knows no further.
    /// - Parameters:
    ///   - changed: the state with the step's change of the configuration, on which result and history come
    ///   - makesFiles: whether the step may have a layer
    func found(_ key: CacheKey, _ createdBy: String, _ changed: ImageState, on state: ImageState, makesFiles: Bool) async throws
        -> ImageState?
    {
        if let known = try await cached(key.text) {
            var result = try changed.with(known.history, layer: known.layer, key: key.text)
            for base in state.elsewhere + [state] {
                guard let other = try imported(key, createdBy, changed, on: base, makesFiles)?.state else { continue }
                if other.content != result.content { result.elsewhere = [other] }
                break
            }
            return result
        }
        for base in [state] + state.elsewhere {
            guard let (other, cache) = try imported(key, createdBy, changed, on: base, makesFiles) else { continue }
            if try await bring(other.layers, from: cache) { return other }
        }
        return nil
    }

    /// What comes of a step by a cache from elsewhere, whose layers are not here yet.
    private func imported(
        _ key: CacheKey, _ createdBy: String, _ changed: ImageState, on base: ImageState, _ makesFiles: Bool
    ) throws -> (state: ImageState, cache: ImportedCache)? {
        let text = key.text(on: key.parent == nil ? nil : base.content)
        guard let (step, cache) = imports.step(text, makesFiles: makesFiles, notAfter: epoch) else { return nil }
        let rebased = changed.rebased(on: base)
        let history = rebased.history(createdBy, created: step.created.description, hasLayer: step.layer != nil)
        return (try rebased.with(history, layer: step.layer, key: text), cache)
    }

    /// Gets those layers that are not here. A cache that does not have what it promises is not asked again.
    private func bring(_ layers: [Digest], from cache: ImportedCache) async throws -> Bool {
        for layer in layers {
            // In this order: what is there now stays.
            hold.add([layer])
            let giver = cache.layers.contains(layer) ? cache : imports.giver(of: layer)
            let isHere = try await build.images.layers.exists(layer)
            if !isHere {
                guard let giver else { return false }
                do {
                    await say(" ---> Importing \(layer.short) from \(giver.name)\n")
                    try await giver.fetch(layer)
                } catch let error where !(error is CancellationError) {
                    try Task.checkCancellation()
                    if imports.drop(giver) { await say("[Warning] cache \(giver.name) is not used any further: \(error)\n") }
                    return false
                }
            }
            if let giver { try await keep(layer, giver) }
        }
        return true
    }

    /// What a cache from elsewhere has of a cache mount that is not here.
    func importedMount(_ key: String) async throws -> StepSource? {
        guard let layer = try await importedMountLayer(key) else { return nil }
        return try await source([layer])
    }

    func importedMountLayer(_ key: String) async throws -> Digest? {
        guard let (layer, cache) = imports.mount(key), try await bring([layer], from: cache) else { return nil }
        return layer
    }

    /// Keeps an imported layer for the next build that names the same cache. It is kept under no step's key: whoever does not
    /// name the cache never gets anything of it.
    private func keep(_ layer: Digest, _ cache: ImportedCache) async throws {
        var key = CacheKey("imported", parent: nil)
        key.add([cache.name, layer.description])
        try await remember(key.text, ImageConfig.History(createdBy: "imported from \(cache.name)"), layer)
    }

    private func cached(_ key: String) async throws -> CachedStep? {
        guard let record = try await build.cache.find(key: key) else { return nil }
        if let layer = record.layer {
            // In this order: what is there now stays.
            hold.add([layer])
            guard try await build.images.layers.exists(layer) else { return nil }
        }
        // A row that cannot be read is as good as none: the step is done again and the row replaced.
        guard let history = try? JSONDecoder().decode(ImageConfig.History.self, from: Data(record.json)) else { return nil }
        return CachedStep(history: history, layer: record.layer)
    }

    func remember(_ key: String, _ history: ImageConfig.History, _ layer: Digest?) async throws {
        try await build.cache.save(key: key, layer: layer, json: try encodeDocument(history))
    }
}

extension ImageState {
    func history(_ createdBy: String, created: String, hasLayer: Bool) -> ImageConfig.History {
        ImageConfig.History(created: created, createdBy: createdBy, author: config.author, emptyLayer: hasLayer ? nil : true)
    }
}
