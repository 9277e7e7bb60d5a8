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

    /// What nobody has taken yet, each with the task that removes it when its time is over.
    private(set) var things: [String: (thing: Thing, end: Task<Void, Never>)] = [:]
    private static let most = 64
    private let lifetime: @Sendable () async throws -> Void

    /// - Parameter lifetime: returns when the time of a thing is over that was handed in when it was called
    init(lifetime: @escaping @Sendable () async throws -> Void = { try await Task.sleep(for: .seconds(600)) }) {
        self.lifetime = lifetime
    }

    /// - Returns: the name under which a build takes it.
    func add(_ thing: Thing) async throws -> String {
        guard things.count < Self.most else {
            try await Self.remove(thing)
            throw EngineError(.unavailable, "too many builds have been prepared and not begun")
        }
        let id = makeID()
        let end = Task { [weak self, lifetime] in
            // Cancelled when a build has taken it.
            guard (try? await lifetime()) != nil else { return }
            await self?.forget(id)
        }
        things[id] = (thing, end)
        return id
    }

    /// Nobody else gets it any more.
    func takeSecrets(_ id: String) throws -> [String: [UInt8]] {
        guard case .secrets(let secrets)? = things[id]?.thing else { throw EngineError(.notFound, "no such secrets: \(id)") }
        things.removeValue(forKey: id)?.end.cancel()
        return secrets
    }

    /// The directory is the caller's from now on.
    func takeContext(_ id: String) throws -> FilePath {
        guard case .context(let directory)? = things[id]?.thing else { throw EngineError(.notFound, "no such context: \(id)") }
        things.removeValue(forKey: id)?.end.cancel()
        return directory
    }

    func takeLock(_ id: String) throws -> LockFile {
        guard case .lock(let file)? = things[id]?.thing else { throw EngineError(.notFound, "no such lock file: \(id)") }
        things.removeValue(forKey: id)?.end.cancel()
        return file
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
        things.removeValue(forKey: id)?.end.cancel()
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
