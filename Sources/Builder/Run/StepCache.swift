import FoundationEssentials
import Images
import OCI
import Store

// What earlier builds made. A result counts only while its layer is in the store.
extension BuildRun {
    struct CachedStep: Sendable {
        var history: ImageConfig.History
        var layer: Digest?
    }

    func cached(_ key: String) async throws -> CachedStep? {
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
        try await build.cache.save(key: key, layer: layer, json: try ImageState.document(history))
    }
}
