import GRDB

/// A network as it is remembered; `json` belongs to the networking module.
public struct NetworkRecord: Sendable, Equatable {
    public var id: String
    public var name: String
    /// RFC 3339.
    public var created: String
    public var json: [UInt8]

    public init(id: String, name: String, created: String, json: [UInt8]) {
        self.id = id
        self.name = name
        self.created = created
        self.json = json
    }
}

/// The networks.
public struct NetworkRecords: Sendable {
    let pool: DatabasePool

    /// Adds or replaces a row. `StoreError.nameTaken` when another network has the name.
    public func save(id: String, name: String, created: String, json: [UInt8]) async throws {
        try await pool.write { database in
            let other = try String.fetchOne(
                database, sql: "SELECT id FROM network WHERE name = ? AND id <> ?", arguments: [name, id])
            if let other { throw StoreError.nameTaken(existingID: other) }
            try database.execute(
                sql: """
                    INSERT INTO network (id, name, created, json) VALUES (?, ?, ?, ?)
                    ON CONFLICT (id) DO UPDATE SET name = excluded.name, created = excluded.created, json = excluded.json
                    """,
                arguments: [id, name, created, text(json)])
        }
    }

    /// Oldest first.
    public func all() async throws -> [NetworkRecord] {
        try await pool.read { database in
            try Row.fetchAll(database, sql: "SELECT * FROM network ORDER BY created, id").map {
                NetworkRecord(id: $0["id"], name: $0["name"], created: $0["created"], json: bytes($0, "json"))
            }
        }
    }

    /// Removes the network and its endpoints.
    public func delete(id: String) async throws {
        try await pool.write { try $0.execute(sql: "DELETE FROM network WHERE id = ?", arguments: [id]) }
    }
}
