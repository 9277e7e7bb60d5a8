import GRDB
public import OCI

/// An image as it is remembered. The configuration itself is the blob with the digest `id`.
public struct ImageRecord: Sendable, Equatable {
    public var id: Digest
    /// Full names (`docker.io/library/debian:bookworm`), sorted.
    public var references: [String]
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
    public func save(id: Digest, layers: [Digest], references: [String]) throws {
        try pool.writeDurably { database in
            let image = id.description
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
            for reference in references { try name(image, reference, database) }
        }
    }

    /// Gives an image a name, which another image loses. False when there is no such image.
    public func setReference(_ reference: String, to id: Digest) throws -> Bool {
        try pool.write { database in
            guard try exists(id, database) else { return false }
            try name(id.description, reference, database)
            return true
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
        }
    }

    /// Forgets images with their names. Synced, so that the files can go.
    public func delete(_ ids: [Digest]) throws {
        try pool.writeDurably { database in
            for id in ids { try database.execute(sql: "DELETE FROM image WHERE id = ?", arguments: [id.description]) }
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
            let references = try Row.fetchCursor(database, sql: "SELECT image_id, reference FROM image_reference ORDER BY reference")
            while let row = try references.next() { names[row[0], default: []].append(row[1]) }
            let layers = try allLayers(database)
            let images = try Row.fetchCursor(database, sql: "SELECT id, used FROM image ORDER BY added DESC, id")
            var found: [ImageRecord] = []
            while let row = try images.next() {
                let id: String = row[0]
                let own = layers[id] ?? ([], 0)
                found.append(
                    ImageRecord(id: try Digest(id), references: names[id] ?? [], layers: own.layers, size: own.size, used: row[1]))
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

private func name(_ image: String, _ reference: String, _ database: GRDB.Database) throws {
    try database.execute(
        sql: """
            INSERT INTO image_reference (reference, image_id) VALUES (?, ?)
            ON CONFLICT (reference) DO UPDATE SET image_id = excluded.image_id
            """,
        arguments: [reference, image])
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
        let references = try String.fetchAll(
            database, sql: "SELECT reference FROM image_reference WHERE image_id = ? ORDER BY reference", arguments: [id])
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
        let used = try String.fetchOne(database, sql: "SELECT used FROM image WHERE id = ?", arguments: [id])
        return ImageRecord(id: try Digest(id), references: references, layers: layers, size: size, used: used)
    }
}
