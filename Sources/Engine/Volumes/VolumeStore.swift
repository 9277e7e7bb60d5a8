import Blocking
public import DockerAPI
import FoundationEssentials
import Linux
import Store
import SystemPackage

/// Named and anonymous volumes: a directory each, and a row that says so.
public actor VolumeStore {
    struct Record: Codable, Sendable {
        var name: String
        var created: String
        var labels: [String: String]
        var options: [String: String]
    }

    private let root: FilePath
    private let database: Database
    private let events: EventHub
    private var records: [String: Record] = [:]

    init(root: FilePath, database: Database, events: EventHub) async throws {
        self.root = root
        self.database = database
        self.events = events
        for row in try await database.volumes.all() {
            records[row.name] = try JSONDecoder().decode(Record.self, from: Data(row.json))
        }
    }

    /// The directory that containers see.
    nonisolated func directory(_ name: String) -> FilePath { root.appending(name).appending("_data") }

    /// Makes a volume, or answers the one of that name. `name` nil makes an anonymous one.
    func create(_ name: String?, labels: [String: String] = [:], options: [String: String] = [:]) async throws -> Volume {
        let name = name ?? makeID()
        try Self.check(name)
        guard options.isEmpty else {
            throw EngineError(.notImplemented, "options of the local volume driver are not available in this version of Skiff")
        }
        if let record = records[name] { return volume(record) }
        let record = Record(name: name, created: Timestamp.now().description, labels: labels, options: options)
        records[name] = record
        do {
            let directory = directory(name)
            try await blocking {
                try makeDirectories(directory)
                try fchmod(try OwnedFD.open(directory, [.readOnly, .directory]), mode: 0o755)
            }
            try await database.volumes.save(name: name, created: record.created, json: [UInt8](JSONEncoder().encode(record)))
        } catch {
            records[name] = nil
            throw error
        }
        events.publish("volume", "create", id: name, attributes: ["driver": "local"])
        return volume(record)
    }

    func exists(_ name: String) -> Bool { records[name] != nil }

    public func inspect(_ name: String) throws -> Volume {
        guard let record = records[name] else { throw EngineError(.notFound, "get \(name): no such volume") }
        return volume(record)
    }

    public func list() -> [Volume] {
        records.values.sorted { $0.name < $1.name }.map(volume)
    }

    /// Removes the row first: what a crash leaves is a directory without a row, which the next start sweeps.
    func remove(_ name: String) async throws {
        guard records[name] != nil else { throw EngineError(.notFound, "get \(name): no such volume") }
        try await database.volumes.delete(name: name)
        records[name] = nil
        let path = root.appending(name)
        try await blocking { try removeTree(path) }
        events.publish("volume", "destroy", id: name, attributes: ["driver": "local"])
    }

    private func volume(_ record: Record) -> Volume {
        var volume = Volume()
        volume.Name = record.name
        volume.Driver = "local"
        volume.Mountpoint = directory(record.name).string
        volume.CreatedAt = record.created
        volume.Labels = record.labels
        volume.Options = record.options
        volume.Scope = "local"
        return volume
    }

    static func isName(_ name: String) -> Bool {
        guard let first = name.utf8.first, name.utf8.count >= 2, name.utf8.count <= 255 else { return false }
        func isWord(_ byte: UInt8) -> Bool { (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) }
        return isWord(first) && name.utf8.allSatisfy { isWord($0) || $0 == 95 || $0 == 46 || $0 == 45 }
    }

    private static func check(_ name: String) throws(EngineError) {
        guard isName(name) else {
            throw EngineError(
                .invalidArgument,
                "create \(name): \"\(name)\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
            )
        }
    }
}
