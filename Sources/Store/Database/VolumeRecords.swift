import GRDB

/// A named volume as it is remembered; `json` belongs to the engine.
public struct VolumeRecord: Sendable, Equatable {
    public var name: String
    /// RFC 3339.
    public var created: String
    public var json: [UInt8]

    public init(name: String, created: String, json: [UInt8]) {
        self.name = name
        self.created = created
        self.json = json
    }
}

/// The volumes.
public struct VolumeRecords: Sendable {
    let pool: DatabasePool

    /// Adds a row; `StoreError.nameTaken` when there is one of that name.
    public func insert(name: String, created: String, json: [UInt8]) async throws {
        try await pool.write { database in
            try database.execute(
                sql: "INSERT OR IGNORE INTO volume (name, created, json) VALUES (?, ?, ?)",
                arguments: [name, created, text(json)])
            if database.changesCount == 0 { throw StoreError.nameTaken(existingID: name) }
        }
    }

    /// Adds or replaces a row.
    public func save(name: String, created: String, json: [UInt8]) async throws {
        try await pool.write { database in
            try database.execute(
                sql: """
                    INSERT INTO volume (name, created, json) VALUES (?, ?, ?)
                    ON CONFLICT (name) DO UPDATE SET created = excluded.created, json = excluded.json
                    """,
                arguments: [name, created, text(json)])
        }
    }

    /// By name.
    public func all() async throws -> [VolumeRecord] {
        try await pool.read { database in
            try Row.fetchAll(database, sql: "SELECT * FROM volume ORDER BY name").map {
                VolumeRecord(name: $0["name"], created: $0["created"], json: bytes($0, "json"))
            }
        }
    }

    public func delete(name: String) async throws {
        try await pool.write { try $0.execute(sql: "DELETE FROM volume WHERE name = ?", arguments: [name]) }
    }
}
