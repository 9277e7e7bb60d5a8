import GRDB
public import OCI

/// An image as it is remembered. The configuration itself is the blob with the digest `id`.
public struct ImageRecord: Sendable, Equatable {
    public var id: Digest
    /// Full names (`docker.io/library/debian:bookworm`), sorted.
    public var references: [String]
    /// What goes with the image under a name, for those names that have something.
    public var namedAttachments: [String: Digest] = [:]
    /// What goes with it when it is meant by its id.
    public var attachments: Digest?
    /// Diff ids, base first.
    public var layers: [Digest]
    /// The sizes of all layers added up.
    public var size: Int64
    /// RFC 3339: when a container or a build last began with it; nil when none has.
    public var used: String?
}

/// The images, their names and their layers. The calls may block; use them in `blocking { }`.
public struct ImageRecords: Sendable {
    let pool: DatabasePool
    let commits: CommitCount

    /// Another number after each change of the database. Does not block.
    public var state: Int { commits.value }

    /// Adds an image if it is not there, and gives it names, which other images lose.
    /// `StoreError.layerMissing` when one of its layers is not in the store. Synced.
    /// - Parameter attachments: the document of what goes with it from now on under those names, and by its id. Nil: nothing under those
    ///   names; by its id it keeps what it has, which somebody may be about to ask for
    public func save(id: Digest, layers: [Digest], references: [String], attachments: [UInt8]? = nil) throws {
        try pool.writeDurably { database in
            let image = id.description
            let attached = try attachments.map { try add(attachments: $0, database) }
            try database.execute(
                sql: "INSERT OR IGNORE INTO image (id, added) VALUES (?, ?)", arguments: [image, timestamp()])
            if database.changesCount > 0 {
                for (position, layer) in layers.enumerated() {
                    guard try hasLayer(layer, database) else { throw StoreError.layerMissing }
                    try database.execute(
                        sql: "INSERT INTO image_layer (image_id, position, diff_id) VALUES (?, ?, ?)",
                        arguments: [image, position, layer.description])
                }
            }
            if attached != nil { try database.execute(sql: "UPDATE image SET attachments = ? WHERE id = ?", arguments: [attached, image]) }
            for reference in references { try name(image, reference, attached, database) }
            try removeUnusedAttachments(database)
        }
    }

    /// Gives an image a name, which another image loses. False when there is no such image.
    /// - Parameter source: the name by which the image is meant; what goes with it goes with the new one. Nil: its id
    public func setReference(_ reference: String, to id: Digest, as source: String?) throws -> Bool {
        try pool.write { database in
            guard try exists(id, database) else { return false }
            let attached = try String.fetchOne(
                database,
                sql: source == nil
                    ? "SELECT attachments FROM image WHERE id = ?" : "SELECT attachments FROM image_reference WHERE image_id = ? AND reference = ?",
                arguments: StatementArguments([id.description] + [source].compactMap(\.self)))
            try name(id.description, reference, attached, database)
            try removeUnusedAttachments(database)
            return true
        }
    }

    /// The document of what goes with an image.
    public func attachments(_ digest: Digest) throws -> [UInt8]? {
        try pool.read { database in
            try Row.fetchOne(database, sql: "SELECT document FROM image_attachments WHERE digest = ?", arguments: [digest.description])
                .map { bytes($0, "document") }
        }
    }

    /// Notes that a container or a build begins with the image.
    public func noteUse(_ id: Digest) throws {
        try pool.write { database in
            try database.execute(
                sql: "UPDATE image SET used = ? WHERE id = ?", arguments: [timestamp(), id.description])
        }
    }

    /// Takes names away.
    public func deleteReferences(_ references: [String]) throws {
        try pool.write { database in
            for reference in references {
                try database.execute(sql: "DELETE FROM image_reference WHERE reference = ?", arguments: [reference])
            }
            try removeUnusedAttachments(database)
        }
    }

    /// Forgets images with their names. Synced, so that the files can go.
    public func delete(_ ids: [Digest]) throws {
        try pool.writeDurably { database in
            for id in ids { try database.execute(sql: "DELETE FROM image WHERE id = ?", arguments: [id.description]) }
            try removeUnusedAttachments(database)
        }
    }

    /// What SQLite finds wrong with its file, and rows that name what is not there.
    public func integrityProblems() throws -> [String] {
        try pool.read { database in
            let found = try String.fetchAll(database, sql: "PRAGMA integrity_check").filter { $0 != "ok" }
            let broken = try Row.fetchAll(database, sql: "PRAGMA foreign_key_check").map { row in
                "a row of \(row["table"] as String? ?? "") names a missing \(row["parent"] as String? ?? "")"
            }
            return found + broken
        }
    }

    /// All of them, the newest first.
    public func all() throws -> [ImageRecord] {
        try pool.read { database in
            var names: [String: [String]] = [:]
            var attached: [String: [String: Digest]] = [:]
            let references = try Row.fetchCursor(
                database, sql: "SELECT image_id, reference, attachments FROM image_reference ORDER BY reference")
            while let row = try references.next() {
                names[row[0], default: []].append(row[1])
                if let digest = row[2] as String? { attached[row[0], default: [:]][row[1]] = try Digest(digest) }
            }
            let layers = try allLayers(database)
            let images = try Row.fetchCursor(database, sql: "SELECT id, used, attachments FROM image ORDER BY added DESC, id")
            var found: [ImageRecord] = []
            while let row = try images.next() {
                let id: String = row[0]
                let own = layers[id] ?? ([], 0)
                found.append(
                    ImageRecord(
                        id: try Digest(id), references: names[id] ?? [], namedAttachments: attached[id] ?? [:],
                        attachments: try (row[2] as String?).map { try Digest($0) }, layers: own.layers, size: own.size, used: row[1]))
            }
            return found
        }
    }

    public func find(_ id: Digest) throws -> ImageRecord? {
        try pool.read { database in
            try exists(id, database) ? records(database, ids: [id.description]).first : nil
        }
    }

    /// The image with this name.
    public func find(reference: String) throws -> ImageRecord? {
        try pool.read { database in
            let id = try String.fetchOne(
                database, sql: "SELECT image_id FROM image_reference WHERE reference = ?", arguments: [reference])
            return try id.flatMap { try records(database, ids: [$0]).first }
        }
    }

    /// Images whose id begins with these digits, at most two.
    public func find(idPrefix digits: String) throws -> [ImageRecord] {
        try pool.read { database in
            let start = "sha256:\(digits)"
            let ids = try String.fetchAll(
                database, sql: "SELECT id FROM image WHERE id >= ? AND id < ? ORDER BY id LIMIT 2",
                arguments: [start, start + "~"])
            return try records(database, ids: ids)
        }
    }
}

private func exists(_ id: Digest, _ database: GRDB.Database) throws -> Bool {
    try Bool.fetchOne(
        database, sql: "SELECT EXISTS (SELECT 1 FROM image WHERE id = ?)", arguments: [id.description]) ?? false
}

private func name(_ image: String, _ reference: String, _ attachments: String?, _ database: GRDB.Database) throws {
    try database.execute(
        sql: """
            INSERT INTO image_reference (reference, image_id, attachments) VALUES (?, ?, ?)
            ON CONFLICT (reference) DO UPDATE SET image_id = excluded.image_id, attachments = excluded.attachments
            """,
        arguments: [reference, image, attachments])
}

private func add(attachments document: [UInt8], _ database: GRDB.Database) throws -> String {
    let digest = Digest.sha256(of: document).description
    try database.execute(
        sql: "INSERT OR IGNORE INTO image_attachments (digest, document) VALUES (?, ?)", arguments: [digest, text(document)])
    return digest
}

private func removeUnusedAttachments(_ database: GRDB.Database) throws {
    try database.execute(
        sql: """
            DELETE FROM image_attachments WHERE digest NOT IN (
                SELECT attachments FROM image WHERE attachments IS NOT NULL
                UNION SELECT attachments FROM image_reference WHERE attachments IS NOT NULL)
            """)
}

/// The layers of each image, base first, and their sizes added up.
private func allLayers(_ database: GRDB.Database) throws -> [String: (layers: [Digest], size: Int64)] {
    var found: [String: (layers: [Digest], size: Int64)] = [:]
    // Most layers belong to several images.
    var digests: [String: Digest] = [:]
    let rows = try Row.fetchCursor(
        database,
        sql: """
            SELECT i.image_id, l.diff_id, l.size FROM image_layer i JOIN layer l ON l.diff_id = i.diff_id
            ORDER BY i.image_id, i.position
            """)
    while let row = try rows.next() {
        let text: String = row[1]
        let digest = try digests[text] ?? Digest(text)
        digests[text] = digest
        let size: Int64 = row[2]
        found[row[0], default: ([], 0)].layers.append(digest)
        found[row[0], default: ([], 0)].size += size
    }
    return found
}

private func records(_ database: GRDB.Database, ids: [String]) throws -> [ImageRecord] {
    try ids.map { id in
        var references: [String] = []
        var attached: [String: Digest] = [:]
        let names = try Row.fetchCursor(
            database, sql: "SELECT reference, attachments FROM image_reference WHERE image_id = ? ORDER BY reference", arguments: [id])
        while let row = try names.next() {
            references.append(row[0])
            if let digest = row[1] as String? { attached[row[0]] = try Digest(digest) }
        }
        var layers: [Digest] = []
        var size: Int64 = 0
        let rows = try Row.fetchAll(
            database,
            sql: """
                SELECT l.diff_id, l.size FROM image_layer i JOIN layer l ON l.diff_id = i.diff_id
                WHERE i.image_id = ? ORDER BY i.position
                """, arguments: [id])
        for row in rows {
            layers.append(try Digest(row["diff_id"]))
            size += row["size"] as Int64
        }
        let image = try Row.fetchOne(database, sql: "SELECT used, attachments FROM image WHERE id = ?", arguments: [id])
        return ImageRecord(
            id: try Digest(id), references: references, namedAttachments: attached,
            attachments: try (image?["attachments"] as String?).map { try Digest($0) }, layers: layers, size: size, used: image?["used"])
    }
}
