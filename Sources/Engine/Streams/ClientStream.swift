public import NIOCore

/// The raw connection of a client, as attach and exec see it.
public protocol ClientStream: Sendable {
    /// The next bytes of the client; nil when it has closed its side.
    func read() async throws -> ByteBuffer?
    /// Returns once the kernel has taken the bytes.
    func write(_ bytes: ByteBuffer) async throws
}
