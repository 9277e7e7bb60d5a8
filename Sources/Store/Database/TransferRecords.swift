import GRDB
public import Linux
public import OCI

/// A layer in the form in which a registry has it: compressed, mostly.
public struct LayerBlob: Sendable, Equatable {
    public var digest: Digest
    public var diffID: Digest
    public var size: Int64
    public var mediaType: String
    /// Our own compression makes it, and makes it again the same.
    public var isMadeHere: Bool

    public init(digest: Digest, diffID: Digest, size: Int64, mediaType: String, isMadeHere: Bool) {
        self.digest = digest
        self.diffID = diffID
        self.size = size
        self.mediaType = mediaType
        self.isMadeHere = isMadeHere
    }
}

/// A manifest of an image, and a repository that has it with all of its blobs.
public struct ImageManifest: Sendable, Equatable {
    public var bytes: [UInt8]
    public var mediaType: String
    public var domain: String
    public var repository: String

    public init(bytes: [UInt8], mediaType: String, domain: String, repository: String) {
        self.bytes = bytes
        self.mediaType = mediaType
        self.domain = domain
        self.repository = repository
    }
}

/// What is remembered of pulls and pushes. The calls may block; use them in `blocking { }`.
public struct TransferRecords: Sendable {
    let pool: DatabasePool

    // MARK: Compressed forms of layers

    /// Remembers a form of a layer that is in the store, and that a repository has it.
    public func note(_ blob: LayerBlob, domain: String, repository: String) throws {
        try pool.write { database in
            guard try hasLayer(blob.diffID, database) else { return }
            try database.execute(
                sql: """
                    INSERT INTO layer_blob (digest, diff_id, size, media_type, made_here) VALUES (?, ?, ?, ?, ?)
                    ON CONFLICT (digest) DO UPDATE SET made_here = max(made_here, excluded.made_here)
                    """,
                arguments: [blob.digest.description, blob.diffID.description, blob.size, blob.mediaType, blob.isMadeHere])
            try database.execute(
                sql: "INSERT OR IGNORE INTO blob_place (digest, domain, repository) VALUES (?, ?, ?)",
                arguments: [blob.digest.description, domain, repository])
        }
    }

    /// All known forms of a layer, our own last.
    public func blobs(of layer: Digest) throws -> [LayerBlob] {
        try pool.read { database in
            try Row.fetchAll(
                database, sql: "SELECT * FROM layer_blob WHERE diff_id = ? ORDER BY made_here, digest", arguments: [layer.description]
            ).map {
                LayerBlob(
                    digest: try Digest($0["digest"]), diffID: layer, size: $0["size"], mediaType: $0["media_type"],
                    isMadeHere: $0["made_here"])
            }
        }
    }

    /// The repositories of a registry that are known to have a blob.
    public func repositories(of blob: Digest, domain: String) throws -> [String] {
        try pool.read { database in
            try String.fetchAll(
                database, sql: "SELECT repository FROM blob_place WHERE digest = ? AND domain = ? ORDER BY repository",
                arguments: [blob.description, domain])
        }
    }

    /// A repository turned out not to have a blob (any more).
    public func forget(_ blob: Digest, domain: String, repository: String) throws {
        try pool.write { database in
            try database.execute(
                sql: "DELETE FROM blob_place WHERE digest = ? AND domain = ? AND repository = ?",
                arguments: [blob.description, domain, repository])
        }
    }

    // MARK: Manifests

    /// Remembers the manifest that an image came with, or went away with.
    public func note(_ manifest: ImageManifest, of image: Digest) throws {
        try pool.write { database in
            try database.execute(
                sql: "INSERT OR REPLACE INTO image_manifest (image_id, media_type, manifest, domain, repository) VALUES (?, ?, ?, ?, ?)",
                arguments: [image.description, manifest.mediaType, text(manifest.bytes), manifest.domain, manifest.repository])
        }
    }

    public func manifest(of image: Digest) throws -> ImageManifest? {
        try pool.read { database in
            try Row.fetchOne(database, sql: "SELECT * FROM image_manifest WHERE image_id = ?", arguments: [image.description]).map {
                ImageManifest(bytes: bytes($0, "manifest"), mediaType: $0["media_type"], domain: $0["domain"], repository: $0["repository"])
            }
        }
    }

    // MARK: Layers of pulls that are not finished

    /// Keeps a layer that is in the store, although no image has it yet.
    public func keep(_ layer: Digest) throws {
        try pool.write { database in
            guard try hasLayer(layer, database) else { return }
            try database.execute(
                sql: "INSERT OR REPLACE INTO kept_layer (diff_id, since) VALUES (?, ?)", arguments: [layer.description, timestamp()])
        }
    }

    /// Layers that an image has now, or that nobody comes back for.
    public func stopKeeping(_ layers: [Digest]) throws {
        try pool.write { database in
            for layer in layers {
                try database.execute(sql: "DELETE FROM kept_layer WHERE diff_id = ?", arguments: [layer.description])
            }
        }
    }

    /// Stops keeping those that came before a time, or all of them, and tells which these were.
    @discardableResult
    public func stopKeeping(before time: Timestamp?) throws -> [Digest] {
        try pool.write { database in
            try String.fetchAll(
                database, sql: "DELETE FROM kept_layer WHERE since < coalesce(?, '9999') RETURNING diff_id", arguments: [time?.description]
            ).map { try Digest($0) }
        }
    }
}
