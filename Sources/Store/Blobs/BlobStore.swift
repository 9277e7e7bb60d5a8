import Linux
public import OCI
public import SystemPackage

/// Bytes on disk under their digest: `blobs/sha256/<hex>`. A file with its final name is always whole.
///
/// The calls may block; use them in `blocking { }`.
public struct BlobStore: Sendable {
    private let directory: FilePath
    private let temporary: FilePath

    /// `temporary` must be on the same file system; what is in it at a start is swept by its owner.
    public init(root: FilePath, temporary: FilePath) throws {
        directory = root.appending("sha256")
        self.temporary = temporary
        try makeDirectories(directory)
    }

    /// Keeps the bytes, on disk when the call returns, and tells their digest.
    @discardableResult
    public func write(_ bytes: [UInt8]) throws -> Digest {
        let digest = Digest.sha256(of: bytes)
        if contains(digest) { return digest }
        let part = temporary.appending("blob-\(digest.hex)-\(UInt32.random(in: .min ... .max))")
        do {
            let file = try OwnedFD.open(part, [.writeOnly, .create, .exclusive, .noFollow])
            try file.writeAll(bytes)
            try file.sync()
            try rename(part, to: path(digest))
        } catch {
            // The first error is the one to tell; a left-over is swept at the next start.
            try? unlink(part)
            throw error
        }
        try syncDirectory(directory)
        return digest
    }

    /// The bytes, compared with their digest: `StoreError.corrupt` when the disk has changed them.
    public func read(_ digest: Digest, limit: Int) throws -> [UInt8] {
        guard contains(digest) else { throw StoreError.missing("blob \(digest)") }
        let bytes = try OwnedFD.open(path(digest), [.readOnly, .noFollow]).readAll(limit: limit)
        guard Digest.sha256(of: bytes) == digest else { throw StoreError.corrupt("blob \(digest)") }
        return bytes
    }

    public func contains(_ digest: Digest) -> Bool {
        // A blob that cannot even be looked at is written anew.
        (try? lstatIfExists(path(digest))) != nil
    }

    /// Removes a blob; no error when there is none.
    public func delete(_ digest: Digest) throws { try unlinkIfExists(path(digest)) }

    /// All blobs. Files with other names are none.
    public func all() throws -> [Digest] {
        let opened = try OwnedFD.open(directory, [.readOnly, .directory])
        return try namesInDirectory(opened).compactMap { name in
            try? Digest(hex: name.description)  // Not a digest, so not ours to judge.
        }
    }

    /// Where the blob is, if it is there.
    public func path(_ digest: Digest) -> FilePath { directory.appending(digest.hex) }
}
