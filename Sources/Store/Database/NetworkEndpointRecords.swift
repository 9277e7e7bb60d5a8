import GRDB

/// A container's place in a network; `json` belongs to the networking module.
public struct EndpointRecord: Sendable, Equatable {
    public var containerID: String
    public var networkID: String
    public var ipv4: String?
    public var ipv6: String?
    public var mac: String?
    public var json: [UInt8]

    public init(
        containerID: String, networkID: String, ipv4: String?, ipv6: String?, mac: String?, json: [UInt8]
    ) {
        self.containerID = containerID
        self.networkID = networkID
        self.ipv4 = ipv4
        self.ipv6 = ipv6
        self.mac = mac
        self.json = json
    }
}

/// The endpoints. An address stands only once in a network.
public struct EndpointRecords: Sendable {
    let pool: DatabasePool

    /// Adds or replaces a row. `StoreError.addressTaken` when another endpoint of the network has one of the addresses.
    public func save(_ endpoint: EndpointRecord) async throws {
        try await pool.write { database in
            for (column, address) in [("ipv4", endpoint.ipv4), ("ipv6", endpoint.ipv6)] {
                guard let address else { continue }
                let taken = try Bool.fetchOne(
                    database,
                    sql: """
                        SELECT EXISTS (SELECT 1 FROM endpoint
                        WHERE network_id = ? AND container_id <> ? AND \(column) = ?)
                        """,
                    arguments: [endpoint.networkID, endpoint.containerID, address])
                if taken == true { throw StoreError.addressTaken(address) }
            }
            try database.execute(
                sql: """
                    INSERT INTO endpoint (container_id, network_id, ipv4, ipv6, mac, json) VALUES (?, ?, ?, ?, ?, ?)
                    ON CONFLICT (container_id, network_id) DO UPDATE
                    SET ipv4 = excluded.ipv4, ipv6 = excluded.ipv6, mac = excluded.mac, json = excluded.json
                    """,
                arguments: [
                    endpoint.containerID, endpoint.networkID, endpoint.ipv4, endpoint.ipv6, endpoint.mac,
                    text(endpoint.json),
                ])
        }
    }

    /// Replaces what rows say that are still there, all or none. One that was removed meanwhile does not come back.
    public func update(_ endpoints: [EndpointRecord]) async throws {
        try await pool.write { database in
            for endpoint in endpoints {
                try database.execute(
                    sql: "UPDATE endpoint SET ipv4 = ?, ipv6 = ?, mac = ?, json = ? WHERE container_id = ? AND network_id = ?",
                    arguments: [
                        endpoint.ipv4, endpoint.ipv6, endpoint.mac, text(endpoint.json), endpoint.containerID, endpoint.networkID,
                    ])
            }
        }
    }

    public func all() async throws -> [EndpointRecord] {
        try await pool.read { database in
            try Row.fetchAll(database, sql: "SELECT * FROM endpoint ORDER BY network_id, container_id").map {
                EndpointRecord(
                    containerID: $0["container_id"], networkID: $0["network_id"], ipv4: $0["ipv4"], ipv6: $0["ipv6"],
                    mac: $0["mac"], json: bytes($0, "json"))
            }
        }
    }

    /// Removes all endpoints of a container, or only that in one network.
    public func delete(containerID: String, networkID: String? = nil) async throws {
        try await pool.write { database in
            try database.execute(
                sql: "DELETE FROM endpoint WHERE container_id = ? AND network_id = coalesce(?, network_id)",
                arguments: [containerID, networkID])
        }
    }
}
