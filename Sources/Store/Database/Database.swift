import Blocking
import GRDB
import Linux
import Synchronization
public import SystemPackage

/// The one SQLite file with everything the engine has to remember. Safe to use from anywhere; a call waits without
/// holding a thread of the concurrency pool.
///
/// A change is on disk, in the sense of surviving the engine's death, when its call returns; a power cut may take back
/// the last few, never half of one (WAL, `synchronous=NORMAL`). An image that comes, and images and layers that go, are
/// synced: what was acknowledged stays, and no row comes back whose files were removed.
public final class Database: Sendable {
    let pool: DatabasePool
    private let commits = CommitCount()

    /// Opens the file, makes it when missing, and brings its tables up to date.
    public static func open(_ path: FilePath) async throws -> Database {
        try await blocking { try Database(path) }
    }

    private init(_ path: FilePath) throws {
        var configuration = Configuration()
        configuration.label = "skiff.db"
        configuration.busyMode = .timeout(10)
        configuration.prepareDatabase { connection in
            try connection.execute(sql: "PRAGMA synchronous = NORMAL")
        }
        pool = try DatabasePool(path: path.string, configuration: configuration)
        try Schema.migrator.migrate(pool)
        pool.add(transactionObserver: commits, extent: .databaseLifetime)
    }

    /// Closes all connections; every later call fails.
    public func close() async throws {
        try await blocking { try self.pool.close() }
    }

    public var containers: ContainerRecords { ContainerRecords(pool: pool) }
    public var volumes: VolumeRecords { VolumeRecords(pool: pool) }
    public var networks: NetworkRecords { NetworkRecords(pool: pool) }
    public var endpoints: EndpointRecords { EndpointRecords(pool: pool) }
    public var images: ImageRecords { ImageRecords(pool: pool, commits: commits) }
    public var layers: LayerRecords { LayerRecords(pool: pool) }
    public var buildCache: BuildCacheRecords { BuildCacheRecords(pool: pool) }
    public var cacheMounts: CacheMountRecords { CacheMountRecords(pool: pool) }
    public var transfers: TransferRecords { TransferRecords(pool: pool) }
}

/// How many transactions there have been. Each counts before its writer goes on.
final class CommitCount: TransactionObserver, Sendable {
    private let count = Atomic(0)

    var value: Int { count.load(ordering: .acquiring) }

    // Of tables without row ids SQLite tells nothing.
    func observes(eventsOfKind kind: DatabaseEventKind) -> Bool { false }
    func databaseDidChange(with event: DatabaseEvent) {}
    func databaseDidCommit(_ database: GRDB.Database) { count.add(1, ordering: .acquiringAndReleasing) }
    func databaseDidRollback(_ database: GRDB.Database) {}
}

extension DatabasePool {
    /// A transaction that a power cut cannot take back, nor any before it: the log is synced with it.
    func writeDurably<T>(_ body: (GRDB.Database) throws -> T) throws -> T {
        try writeWithoutTransaction { database in
            try database.execute(sql: "PRAGMA synchronous = FULL")
            // Should this fail, later changes are only safer than they have to be.
            defer { try? database.execute(sql: "PRAGMA synchronous = NORMAL") }
            try database.beginTransaction(.immediate)
            do {
                let result = try body(database)
                try database.commit()
                return result
            } catch {
                // The first error is the one to tell; SQLite may have rolled back by itself.
                try? database.rollback()
                throw error
            }
        }
    }
}

/// Why the database refuses something that its caller may want to decide by.
public enum StoreError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Another thing of the kind has the name.
    case nameTaken(existingID: String)
    /// Another endpoint of the network has the address.
    case addressTaken(String)
    /// A layer that the thing needs is not there (any more).
    case layerMissing
    /// A blob whose content has another digest than its name says.
    case corrupt(String)
    case missing(String)

    public var description: String {
        switch self {
        case .nameTaken(let id): "the name is already in use by \(id)"
        case .addressTaken(let address): "the address \(address) is already in use"
        case .layerMissing: "a layer is missing"
        case .corrupt(let what): "\(what) is damaged on disk"
        case .missing(let what): "\(what) is missing on disk"
        }
    }
}

/// The time now as the tables hold it: RFC 3339, in UTC.
func timestamp() -> String {
    Timestamp.now().description
}

/// JSON as the tables hold it.
func text(_ json: [UInt8]) -> String { String(decoding: json, as: UTF8.self) }

func bytes(_ row: Row, _ column: String) -> [UInt8] { Array((row[column] as String).utf8) }
