import GRDB

/// A directory that commands of builds keep things in.
public struct CacheMountRecord: Sendable, Equatable {
    public var key: String
    /// As the Dockerfile calls it.
    public var name: String
    /// RFC 3339, as `used`.
    public var created: String
    public var used: String
    public var uses: Int

    public init(key: String, name: String, created: String, used: String, uses: Int) {
        self.key = key
        self.name = name
        self.created = created
        self.used = used
        self.uses = uses
    }
}

/// The caches of `RUN --mount=type=cache` by key.
public struct CacheMountRecords: Sendable {
    let pool: DatabasePool

    /// Adds the row of a new cache, or notes that a known one is used.
    public func noteUse(key: String, name: String) async throws {
        try await pool.write { database in
            let now = timestamp()
            try database.execute(
                sql: """
                    INSERT INTO cache_mount (key, name, created, used, uses) VALUES (?, ?, ?, ?, 0)
                    ON CONFLICT (key) DO UPDATE SET used = excluded.used, uses = uses + 1
                    """,
                arguments: [key, name, now, now])
        }
    }

    public func all() async throws -> [CacheMountRecord] {
        try await pool.read { database in
            try Row.fetchAll(database, sql: "SELECT * FROM cache_mount ORDER BY used, key").map { row in
                CacheMountRecord(key: row["key"], name: row["name"], created: row["created"], used: row["used"], uses: row["uses"])
            }
        }
    }

    public func delete(key: String) async throws {
        try await pool.write { database in
            try database.execute(sql: "DELETE FROM cache_mount WHERE key = ?", arguments: [key])
        }
    }
}
