import Blocking
import Builder
import Linux
import SystemPackage

/// What a client hands in ahead of a build, each thing for one build: secrets, named contexts and caches. A build's own
/// request has neither room for them nor a place that no log shows. And what a build leaves for its client to take.
actor BuildDeposits {
    enum Thing: Sendable {
        case secrets([String: [UInt8]])
        /// An unpacked context; the directory is the deposit's.
        case context(FilePath)
        /// What a build has made for its client; the same.
        case cache(FilePath)
        case lock(LockFile)
    }

    /// What nobody has taken yet, each with the task that removes it when its time is over: nil as long as that has not begun.
    private(set) var things: [String: (thing: Thing, end: Task<Void, Never>?)] = [:]
    private var left: [String: [String]] = [:]
    private static let most = 64
    private let lifetime: @Sendable () async throws -> Void

    /// - Parameter lifetime: returns when the time of a thing is over whose time begins when it is called
    init(lifetime: @escaping @Sendable () async throws -> Void = { try await Task.sleep(for: .seconds(600)) }) {
        self.lifetime = lifetime
    }

    /// - Parameter build: what has left it; its time begins when that ends. Nil: at once.
    /// - Returns: the name under which it is taken.
    func add(_ thing: Thing, leftBy build: String? = nil) async throws -> String {
        guard things.count < Self.most else {
            try await Self.remove(thing)
            throw EngineError(.unavailable, "too many builds have been prepared and not begun")
        }
        let id = makeID()
        things[id] = (thing, nil)
        if let build { left[build, default: []].append(id) } else { beginTime(of: id) }
        return id
    }

    private func beginTime(of id: String) {
        let end = Task { [weak self, lifetime] in
            // Cancelled when somebody has taken it.
            guard (try? await lifetime()) != nil else { return }
            await self?.forget(id)
        }
        things[id]?.end = end
    }

    /// Its client can ask for what it has left from now on.
    func buildEnded(_ build: String) {
        for id in left.removeValue(forKey: build) ?? [] where things[id] != nil { beginTime(of: id) }
    }

    /// What a build has taken, by name.
    struct Taken: Sendable {
        fileprivate(set) var things: [String: Thing] = [:]

        /// Directories that are the build's now.
        var directories: [FilePath] {
            things.values.compactMap { if case .context(let directory) = $0 { directory } else { nil } }
        }

        func secrets(_ id: String) throws -> [String: [UInt8]] {
            guard case .secrets(let secrets)? = things[id] else { throw EngineError(.notFound, "no such secrets: \(id)") }
            return secrets
        }

        func context(_ id: String) throws -> FilePath {
            guard case .context(let directory)? = things[id] else { throw EngineError(.notFound, "no such context: \(id)") }
            return directory
        }

        func lock(_ id: String) throws -> LockFile {
            guard case .lock(let file)? = things[id] else { throw EngineError(.notFound, "no such lock file: \(id)") }
            return file
        }
    }

    /// Takes what there is of those names: nobody else gets it any more.
    func take(_ ids: [String]) -> Taken {
        var taken = Taken()
        for id in ids {
            guard let entry = things[id] else { continue }
            if case .cache = entry.thing { continue }
            entry.end?.cancel()
            things[id] = nil
            taken.things[id] = entry.thing
        }
        return taken
    }

    /// Throws when there is none to take.
    @discardableResult
    func checkCache(_ id: String) throws -> FilePath {
        guard case .cache(let directory)? = things[id]?.thing else { throw EngineError(.notFound, "no such cache: \(id)") }
        return directory
    }

    /// The directory is the caller's from now on.
    func takeCache(_ id: String) throws -> FilePath {
        let directory = try checkCache(id)
        things.removeValue(forKey: id)?.end?.cancel()
        return directory
    }

    /// Whoever handed something in and never built anything.
    private func forget(_ id: String) async {
        guard let entry = things.removeValue(forKey: id) else { return }
        // What cannot be removed now goes when the engine starts next.
        try? await Self.remove(entry.thing)
    }

    private static func remove(_ thing: Thing) async throws {
        switch thing {
        case .secrets, .lock: return
        case .context(let directory), .cache(let directory): try await blocking { try removeTree(directory) }
        }
    }
}

extension ContainerEngine {
    /// Keeps the values of secrets in memory for the one build that names the answer.
    public func depositSecrets(_ secrets: [String: [UInt8]]) async throws -> String {
        for (id, value) in secrets where value.count > 500 << 10 {
            throw EngineError(.invalidArgument, "secret \(id) too large. max size 500KB")
        }
        guard secrets.count <= 256 else { throw EngineError(.invalidArgument, "too many secrets") }
        return try await deposits.add(.secrets(secrets))
    }

    /// A lock file has no more.
    public static var mostLockBytes: Int { LockFile.mostBytes }

    /// Keeps a lock file for the one build that names the answer.
    public func depositLock(_ bytes: [UInt8]) async throws -> String {
        try await deposits.add(.lock(try LockFile(reading: bytes)))
    }

    /// Unpacks a named context for the one build that names the answer.
    public func depositContext(_ body: any UploadSource) async throws -> String {
        let directory = context.paths.temporary.appending("context-\(makeID())")
        try await blocking { try Self.makeContextDirectory(directory) }
        do {
            try await Self.unpack(body, into: directory)
            return try await deposits.add(.context(directory))
        } catch {
            try await blocking { try removeTree(directory) }
            throw error
        }
    }
}
