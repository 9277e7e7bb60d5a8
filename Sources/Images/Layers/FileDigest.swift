public import Linux
public import OCI
import Store

extension Digest {
    /// Of what is in a file from where it stands. May block.
    /// - Parameter check: called again and again; ends the reading by throwing
    public static func sha256(of file: borrowing OwnedFD, check: () throws -> Void) throws -> Digest {
        var hasher = DigestHasher()
        var buffer = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            try check()
            let count = try buffer.withUnsafeMutableBytes { try file.read(into: $0) }
            if count == 0 { return hasher.finish() }
            buffer.withUnsafeBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
    }
}
