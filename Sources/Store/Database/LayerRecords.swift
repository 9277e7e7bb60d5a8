import GRDB
public import OCI

/// The layers whose directories are whole. The calls may block; use them in `blocking { }`.
public struct LayerRecords: Sendable {
    let pool: DatabasePool

    /// Notes that a layer is whole. No error when it was noted before.
    public func insert(_ layer: Digest, size: Int64) throws {
        try pool.write { database in
            try database.execute(
                sql: "INSERT OR IGNORE INTO layer (diff_id, size, created) VALUES (?, ?, ?)",
                arguments: [layer.description, size, timestamp()])
        }
    }

    /// The size of the files in a layer, nil when there is no such layer.
    public func size(_ layer: Digest) throws -> Int64? {
        try pool.read { database in
            try Int64.fetchOne(
                database, sql: "SELECT size FROM layer WHERE diff_id = ?", arguments: [layer.description])
        }
    }

    /// What the layer's directory takes on disk, nil when nobody has measured it.
    public func disk(_ layer: Digest) throws -> Int64? {
        try pool.read { database in
            try Int64.fetchOne(
                database, sql: "SELECT disk FROM layer WHERE diff_id = ? AND disk IS NOT NULL", arguments: [layer.description])
        }
    }

    /// Notes what was measured, or corrects what was noted.
    public func set(disk: Int64? = nil, size: Int64? = nil, of layer: Digest) throws {
        try pool.write { database in
            try database.execute(
                sql: "UPDATE layer SET disk = coalesce(?, disk), size = coalesce(?, size) WHERE diff_id = ?",
                arguments: [disk, size, layer.description])
        }
    }

    /// Forgets the build steps that made the layer.
    public func deleteSteps(with layer: Digest) throws {
        try pool.write { database in
            try database.execute(sql: "DELETE FROM build_cache WHERE diff_id = ?", arguments: [layer.description])
        }
    }

    public func all() throws -> [Digest: Int64] {
        try pool.read { database in
            var sizes: [Digest: Int64] = [:]
            for row in try Row.fetchAll(database, sql: "SELECT diff_id, size FROM layer") {
                sizes[try Digest(row["diff_id"])] = row["size"]
            }
            return sizes
        }
    }

    /// Forgets those of the layers that no image and no build step names, except the held ones, and tells which these
    /// were. With nil it looks at all layers. Synced, so that the files can go.
    public func deleteUnused(among candidates: [Digest]?, except held: Set<Digest>) throws -> [Digest] {
        let looked = candidates.map(Set.init)
        func removable(_ database: GRDB.Database) throws -> [Digest] {
            let unused = try String.fetchAll(
                database,
                sql: """
                    SELECT diff_id FROM layer WHERE NOT EXISTS (SELECT 1 FROM image_layer i WHERE i.diff_id = layer.diff_id)
                    AND NOT EXISTS (SELECT 1 FROM build_cache b WHERE b.diff_id = layer.diff_id)
                    AND NOT EXISTS (SELECT 1 FROM kept_layer k WHERE k.diff_id = layer.diff_id)
                    """)
            return try unused.map { try Digest($0) }.filter { !held.contains($0) && looked?.contains($0) != false }
        }
        // Mostly there is nothing, and nothing to sync.
        guard try !pool.read(removable).isEmpty else { return [] }
        return try pool.writeDurably { database in
            let removed = try removable(database)
            for layer in removed {
                try database.execute(sql: "DELETE FROM layer WHERE diff_id = ?", arguments: [layer.description])
            }
            return removed
        }
    }
}

func hasLayer(_ layer: Digest, _ database: GRDB.Database) throws -> Bool {
    try Bool.fetchOne(
        database, sql: "SELECT EXISTS (SELECT 1 FROM layer WHERE diff_id = ?)", arguments: [layer.description]) ?? false
}
