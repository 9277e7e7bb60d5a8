/// Which containers there are, by id and by name.
actor ContainerRegistry {
    private var containers: [String: Container] = [:]
    /// Names without the slash. A name is claimed before its container exists.
    private var names: [String: String] = [:]

    /// The container of a name, an id or the beginning of an id.
    func find(_ text: String) throws(EngineError) -> Container {
        let key = text.hasPrefix("/") ? String(text.dropFirst()) : text
        if let container = containers[key] { return container }
        if let id = names[key], let container = containers[id] { return container }
        guard !key.isEmpty else { throw EngineError(.invalidArgument, "invalid container name or ID: value is empty") }
        let matches =
            key.utf8.allSatisfy { ($0 >= 48 && $0 <= 57) || ($0 >= 97 && $0 <= 102) }
            ? containers.keys.filter { $0.hasPrefix(key) } : []
        guard matches.count <= 1 else {
            throw EngineError(.invalidArgument, "multiple IDs found with provided prefix: \(key)")
        }
        guard let id = matches.first, let container = containers[id] else {
            throw EngineError(.notFound, "No such container: \(text)")
        }
        return container
    }

    func all() -> [Container] { Array(containers.values) }

    /// The session of exec with that id, and its container.
    func findExec(_ id: String) async throws -> (container: Container, session: ExecSession) {
        for container in all() {
            if let session = await container.executions[id] { return (container, session) }
        }
        throw EngineError(.notFound, "No such exec instance: \(id)")
    }

    func add(_ container: Container, id: String) { containers[id] = container }

    func remove(id: String, name: String) {
        containers[id] = nil
        if names[name] == id { names[name] = nil }
    }

    /// Reserves a name, or makes one up.
    func claimName(_ requested: String?, for id: String) throws(EngineError) -> String {
        guard let requested, !requested.isEmpty else {
            var attempt = 0
            while true {
                let name = NameGenerator.name(attempt: attempt)
                attempt += 1
                guard names[name] == nil else { continue }
                names[name] = id
                return name
            }
        }
        let name = requested.hasPrefix("/") ? String(requested.dropFirst()) : requested
        guard VolumeStore.isName(name) else {
            throw EngineError(
                .invalidArgument, "Invalid container name (\(requested)), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
        }
        if let holder = names[name] {
            throw EngineError(
                .conflict,
                "Conflict. The container name \"/\(name)\" is already in use by container \"\(holder)\". You have to remove (or rename) that container to be able to reuse that name."
            )
        }
        names[name] = id
        return name
    }

    /// Nothing happens to a name that another container has by now.
    func releaseName(_ name: String, of id: String) {
        if names[name] == id { names[name] = nil }
    }

    func isVolumeUsed(_ volume: String, besides id: String) async -> Bool {
        for (other, container) in containers where other != id {
            if await container.record.mounts.contains(where: { $0.name == volume }) { return true }
        }
        return false
    }

    /// Of these volumes those that there are and that no container has.
    func unused(_ names: [String], of volumes: VolumeStore) async -> [String] {
        var found: [String] = []
        for name in names where await volumes.exists(name) {
            if await !isVolumeUsed(name, besides: "") { found.append(name) }
        }
        return found
    }

    /// For what the database says at start.
    func restore(_ container: Container, id: String, name: String) {
        containers[id] = container
        names[name] = id
    }
}
