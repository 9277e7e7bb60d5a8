import Blocking
import Images
import Linux

extension ContainerEngine {
    /// The files of an image as one archive, all layers together: what a build writes to a folder of the client.
    public func imageFiles(_ name: String) async throws -> @Sendable (ByteSender) async throws -> Void {
        let image = try await images.image(name)
        let store = images.layers
        return { send in
            try await store.holding(image.layers) {
                let root = try await blocking { SharedFD(try store.mount(layers: image.layers, upper: nil, work: nil)) }
                try await ByteBridge.archive(root, to: send)
            }
        }
    }
}
