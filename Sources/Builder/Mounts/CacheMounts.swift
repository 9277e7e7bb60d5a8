import Blocking
import BuildContext
import Images
import Linux
import OCI
public import Store
public import SystemPackage
import Synchronization

/// Directories of `RUN --mount=type=cache`: what they hold stays from build to build and is in no image.
///
/// ```
/// <root>/<hex of the key>/        the files, with the owner and mode that the Dockerfile asked for
/// ```
/// A row of the database says what each is called and when it was used. Without a row a directory is taken up again.
public actor CacheMounts {
    private let root: FilePath
    private let records: CacheMountRecords
    private var users: [String: Use] = [:]
    private var waiting: [(id: UInt64, wake: CheckedContinuation<Void, Never>)] = []
    private var nextWaiter: UInt64 = 0

    private enum Use {
        case shared(Int)
        case alone
    }

    /// - Parameter root: a directory on the data root's file system; it is made when it is needed.
    public init(root: FilePath, records: CacheMountRecords) {
        self.root = root
        self.records = records
    }

    /// A cache that somebody has until `end` is called.
    struct Loan: Sendable {
        var key: String
        var directory: FilePath
    }

    // MARK: Lending

    /// Waits until the cache may be used. Whoever wants several asks for them in the order of their keys.
    /// - Parameter make: fills the directory of a cache that is new; what it leaves in the given place becomes the cache.
    func begin(
        _ key: String, named name: String, _ sharing: RunMount.Sharing, make: @Sendable (FilePath) async throws -> Void
    ) async throws -> Loan {
        var key = key
        switch sharing {
        case .shared: try await wait { if case .alone = $0[key] { false } else { true } }
        case .locked: try await wait { $0[key] == nil }
        case .private:
            // The first that nobody uses; the first of all has the key itself.
            var number = 1
            let first = key
            while users[key] != nil {
                number += 1
                key = Digest.sha256(of: Array("\(first) \(number)".utf8)).hex
            }
        }
        if case .shared(let count) = users[key] {
            users[key] = .shared(count + 1)
        } else {
            users[key] = sharing == .shared ? .shared(1) : .alone
        }
        let loan = Loan(key: key, directory: root.appending(key))
        do {
            try await prepare(loan, make)
            try await records.noteUse(key: key, name: name)
            return loan
        } catch {
            end(loan)
            throw error
        }
    }

    /// Makes a layer of what a cache holds now, while nobody uses it; nil when it is not there any more.
    func layer(_ key: String, named name: String, in layers: LayerStore) async throws -> Digest? {
        let place = root.appending(key)
        guard try await blocking({ try lstatIfExists(place) }) != nil else { return nil }
        let loan = try await begin(key, named: name, .locked) { place in try await blocking { try makeDirectories(place, mode: 0o755) } }
        do {
            let layer = try await layers.commit(copyOf: loan.directory)
            end(loan)
            return layer
        } catch {
            end(loan)
            throw error
        }
    }

    func end(_ loan: Loan) {
        switch users[loan.key] {
        case .shared(let count) where count > 1: users[loan.key] = .shared(count - 1)
        default: users[loan.key] = nil
        }
        let all = waiting
        waiting = []
        for waiter in all { waiter.wake.resume() }
    }

    private func wait(until isFree: ([String: Use]) -> Bool) async throws {
        while !isFree(users) {
            try Task.checkCancellation()
            nextWaiter += 1
            let id = nextWaiter
            await withTaskCancellationHandler {
                await withCheckedContinuation { waiting.append((id, $0)) }
            } onCancel: {
                Task { await self.wake(id) }
            }
        }
        try Task.checkCancellation()
    }

    private func wake(_ id: UInt64) {
        guard let index = waiting.firstIndex(where: { $0.id == id }) else { return }
        waiting.remove(at: index).wake.resume()
    }

    /// Two that share a new cache both come here: the one whose directory is renamed into place first has made it.
    private func prepare(_ loan: Loan, _ make: @Sendable (FilePath) async throws -> Void) async throws {
        let root = root
        let exists = try await blocking {
            try makeDirectories(root, mode: 0o700)
            return try lstatIfExists(loan.directory) != nil
        }
        if exists { return }
        let fresh = "new-" + RandomHex.make(16)
        let beside = root.appending(fresh)
        do {
            try await make(beside)
            try await blocking {
                let directory = try OwnedFD.open(root, [.readOnly, .directory])
                // An empty cache is one, too, and somebody may have mounted it already.
                try renameat(directory, try FileName(fresh), to: directory, try FileName(loan.key), noReplace: true)
            }
        } catch {
            // What could not be made is of no use; the reason is told.
            try? await blocking { try removeTree(beside) }
            guard let error = error as? SystemError, error.errno == .fileExists else { throw error }
        }
    }

    // MARK: Looking and removing

    /// At the engine's start: removes what was being made when it ended.
    public func sweep() async throws {
        let root = root
        try await blocking {
            guard try lstatIfExists(root) != nil else { return }
            let directory = try OwnedFD.open(root, [.readOnly, .directory])
            for name in try namesInDirectory(directory) where name.description.hasPrefix("new-") { try removeTree(in: directory, name) }
        }
    }

    /// What there is, least recently used first.
    public func all() async throws -> [CacheMountEntry] {
        let root = root
        let names = try await blocking { () throws -> [String] in
            guard try lstatIfExists(root) != nil else { return [] }
            return try namesInDirectory(try OwnedFD.open(root, [.readOnly, .directory])).map(\.description)
        }
        var known: [String: CacheMountRecord] = [:]
        for record in try await records.all() { known[record.key] = record }
        var entries: [CacheMountEntry] = []
        for name in names.sorted() where !name.hasPrefix("new-") {
            let directory = root.appending(name)
            let bytes = try await blocking { try allocatedBytes(of: directory) }
            let record = known[name] ?? CacheMountRecord(key: name, name: "", created: "", used: "", uses: 0)
            entries.append(CacheMountEntry(record: record, bytes: bytes, isInUse: users[name] != nil))
        }
        return entries.sorted { ($0.record.used, $0.record.key) < ($1.record.used, $1.record.key) }
    }

    /// Removes a cache unless somebody uses it.
    /// - Returns: whether it is gone.
    public func remove(_ key: String) async throws -> Bool {
        guard users[key] == nil else { return false }
        users[key] = .alone
        defer { end(Loan(key: key, directory: root.appending(key))) }
        try await records.delete(key: key)
        let directory = root.appending(key)
        try await blocking { try removeTree(directory) }
        return true
    }
}

/// A cache of `RUN --mount=type=cache` and what it takes on disk.
public struct CacheMountEntry: Sendable {
    public var record: CacheMountRecord
    public var bytes: Int64
    public var isInUse: Bool
}
