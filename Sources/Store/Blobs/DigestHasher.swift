// Only the function: the module also has a `Digest`, which is not ours.
import struct Crypto.SHA256
public import OCI

/// Computes a digest piece by piece (SHA-256).
public struct DigestHasher: Sendable {
    private var hash = SHA256()

    public init() {}

    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        hash.update(bufferPointer: bytes)
    }

    /// The digest of everything so far.
    public func finish() -> Digest {
        Digest(sha256: Array(hash.finalize()))
    }
}

extension Digest {
    public static func sha256(of bytes: [UInt8]) -> Digest {
        var hasher = DigestHasher()
        bytes.withUnsafeBytes { hasher.update($0) }
        return hasher.finish()
    }
}
