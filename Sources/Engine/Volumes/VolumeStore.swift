import Blocking
public import DockerAPI
import FoundationEssentials
import Linux
import Logging
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
    /// Who has a volume with options mounted: ids of containers.
    private var users: [String: Set<String>] = [:]
    private var mounted: Set<String> = []
    /// Being removed: nobody gets them any more.
    private var leaving: Set<String> = []
    /// The last mounting or unmounting of a volume; the next one comes after it.
    private var work: [String: Task<Void, any Error>] = [:]

    init(root: FilePath, database: Database, events: EventHub) async throws {
        self.root = root
        self.database = database
        self.events = events
        for row in try await database.volumes.all() {
            records[row.name] = try JSONDecoder().decode(Record.self, from: Data(row.json))
        }
        let points = try await blocking { Set(try MountNamespace.mountPoints(below: root)) }
        mounted = Set(records.keys.filter { points.contains(directory($0)) })
    }

    /// The directory that containers see.
    nonisolated func directory(_ name: String) -> FilePath { root.appending(name).appending("_data") }

    /// Makes a volume, or answers the one of that name. `name` nil makes an anonymous one.
    func create(_ name: String?, labels: [String: String] = [:], options: [String: String] = [:]) async throws -> Volume {
        let name = name ?? makeID()
        try Self.check(name)
        _ = try LocalVolume(options)
        try checkStays(name)
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

    // MARK: Volumes that are mounts

    /// Sees to it that a volume with options is mounted as long as somebody uses it; nothing to do for others.
    func use(_ name: String, by user: String) async throws {
        try checkStays(name)
        guard records[name]?.options.isEmpty == false else { return }
        users[name, default: []].insert(user)
        do {
            try await settle(name)
        } catch {
            users[name]?.remove(user)
            throw error
        }
    }

    private func checkStays(_ name: String) throws {
        if leaving.contains(name) { throw EngineError(.conflict, "volume \(name) is being removed") }
    }

    /// The user needs none of its volumes any more.
    func release(by user: String, _ logger: Logger) async {
        for name in users.keys.sorted() where users[name]?.remove(user) != nil { await unmount(name, logger) }
    }

    /// The user needs one of its volumes no more.
    func release(_ name: String, by user: String, _ logger: Logger) async {
        if users[name]?.remove(user) != nil { await unmount(name, logger) }
    }

    /// When the engine starts and all users are known: what an earlier life left mounted goes.
    func releaseUnused(_ logger: Logger) async {
        for name in mounted where users[name]?.isEmpty ?? true { await unmount(name, logger) }
    }

    /// Unless somebody else uses it.
    private func unmount(_ name: String, _ logger: Logger) async {
        do {
            try await settle(name)
        } catch {
            logger.warning("could not unmount a volume", metadata: ["volume": "\(name)", "error": "\(error)"])
        }
    }

    /// Mounts or unmounts as the users want it, one after the other for each volume.
    private func settle(_ name: String) async throws {
        let before = work[name]
        let task = Task {
            _ = await before?.result  // Its failure was its caller's.
            try await self.settleNow(name)
        }
        work[name] = task
        try await task.value
    }

    private func settleNow(_ name: String) async throws {
        let isWanted = !(users[name]?.isEmpty ?? true)
        guard isWanted != mounted.contains(name) else { return }
        let directory = directory(name)
        guard isWanted else {
            try await blocking {
                try MountNamespace.detachAll(below: directory)
                guard try MountNamespace.mountPoints(below: directory).isEmpty else {
                    throw EngineError(.internalError, "something is still mounted at \(directory)")
                }
            }
            mounted.remove(name)
            return
        }
        guard let options = records[name]?.options, let volume = try LocalVolume(options) else { return }
        try await blocking { try volume.mount(at: directory) }
        mounted.insert(name)
    }

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
        guard users[name]?.isEmpty ?? true else { throw EngineError(.conflict, "remove \(name): volume is in use") }
        guard leaving.insert(name).inserted else { throw EngineError(.conflict, "remove \(name): volume is being removed") }
        defer { leaving.remove(name) }
        // What is mounted there is not the volume's own to be emptied.
        try await settle(name)
        guard !mounted.contains(name) else { throw EngineError(.conflict, "remove \(name): volume is in use") }
        try await database.volumes.delete(name: name)
        records[name] = nil
        work[name] = nil
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
        return isWord(first) && name.utf8.allSatisfy(isNameByte)
    }

    static func isNameByte(_ byte: UInt8) -> Bool { isWord(byte) || byte == 95 || byte == 46 || byte == 45 }

    private static func isWord(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
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
