// Only the functions: the module also has a `Digest`, which is not ours.
import struct Crypto.SHA256
import struct Crypto.SHA512
import OCI

/// Digests of bytes in memory.
enum ContentDigest {
    static func sha256(_ bytes: [UInt8]) -> Digest { Digest(sha256: Array(SHA256.hash(data: bytes))) }

    static func of(_ bytes: [UInt8], _ algorithm: Digest.Algorithm) -> Digest {
        guard algorithm == .sha512 else { return sha256(bytes) }
        let digits = Array("0123456789abcdef".utf8)
        let hex = SHA512.hash(data: bytes).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        // Always of the right form; the other digest fails every comparison.
        return (try? Digest(algorithm: .sha512, hex: String(decoding: hex, as: UTF8.self))) ?? sha256(bytes)
    }
}
