import GRDB
public import OCI

/// What a build step once made; `json` belongs to the builder.
public struct BuildCacheRecord: Sendable, Equatable {
    public var key: String
    /// The layer that the step made and this row keeps alive; nil when it changed only the configuration.
    public var layer: Digest?
    /// RFC 3339, as `used`, the time of the last hit.
    public var created: String
    public var used: String
    /// How often it was hit.
    public var uses: Int
    public var json: [UInt8]
}

/// The results of build steps by key.
public struct BuildCacheRecords: Sendable {
    let pool: DatabasePool

    /// Adds or replaces a row. `StoreError.layerMissing` when the layer is not in the store.
    public func save(key: String, layer: Digest?, json: [UInt8]) async throws {
        try await pool.write { database in
            if let layer, try !hasLayer(layer, database) { throw StoreError.layerMissing }
            let now = timestamp()
            try database.execute(
                sql: """
                    INSERT INTO build_cache (key, diff_id, created, used, json) VALUES (?, ?, ?, ?, ?)
                    ON CONFLICT (key) DO UPDATE
                    SET diff_id = excluded.diff_id, created = excluded.created, used = excluded.used, json = excluded.json
                    """,
                arguments: [key, layer?.description, now, now, text(json)])
        }
    }

    /// The row of a key, and notes that it was used.
    public func find(key: String) async throws -> BuildCacheRecord? {
        try await pool.write { database in
            try database.execute(sql: "UPDATE build_cache SET used = ?, uses = uses + 1 WHERE key = ?", arguments: [timestamp(), key])
            return try Row.fetchOne(database, sql: "SELECT * FROM build_cache WHERE key = ?", arguments: [key])
                .map(record)
        }
    }

    /// Least recently used first.
    public func all() async throws -> [BuildCacheRecord] {
        try await pool.read { database in
            try Row.fetchAll(database, sql: "SELECT * FROM build_cache ORDER BY used, key").map(record)
        }
    }

    /// What the step at a place rested on when it was looked at last.
    public func facts(of place: String) async throws -> [UInt8]? {
        try await pool.read { database in
            try Row.fetchOne(database, sql: "SELECT json FROM build_step WHERE place = ?", arguments: [place]).map { bytes($0, "json") }
        }
    }

    /// Replaces what is known of places. Of very many the oldest are forgotten.
    public func saveFacts(_ facts: [String: [UInt8]]) async throws {
        try await pool.write { database in
            let now = timestamp()
            for (place, json) in facts {
                try database.execute(
                    sql: "INSERT OR REPLACE INTO build_step (place, used, json) VALUES (?, ?, ?)", arguments: [place, now, text(json)])
            }
            try database.execute(
                sql: "DELETE FROM build_step WHERE place IN (SELECT place FROM build_step ORDER BY used DESC LIMIT -1 OFFSET 2000)")
        }
    }

    /// Removes rows; their layers go with the next `LayerStore.removeUnused`.
    public func delete(keys: [String]) async throws {
        try await pool.write { database in
            for key in keys {
                try database.execute(sql: "DELETE FROM build_cache WHERE key = ?", arguments: [key])
            }
        }
    }
}

@Sendable private func record(_ row: Row) throws -> BuildCacheRecord {
    BuildCacheRecord(
        key: row["key"], layer: try (row["diff_id"] as String?).map { try Digest($0) }, created: row["created"],
        used: row["used"], uses: row["uses"], json: bytes(row, "json"))
}
