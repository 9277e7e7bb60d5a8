public import OCI
import Synchronization

/// Keeps layers in place, whoever else forgets them, from the moment they are added until nobody has this object any more.
/// For work that takes long and makes or uses one layer after the other, as a build does.
public final class LayerHold: Sendable {
    private let store: LayerStore
    private let layers = Mutex<[Digest]>([])

    public init(_ store: LayerStore) {
        self.store = store
    }

    /// Layers that are gone already do not come back by it: look afterwards.
    public func add(_ more: [Digest]) {
        store.hold(more)
        note(more)
    }

    /// The store holds them already.
    func note(_ more: [Digest]) {
        layers.withLock { $0 += more }
    }

    deinit {
        store.release(layers.withLock { $0 })
    }
}
