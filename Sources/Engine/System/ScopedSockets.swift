import Blocking
import DockerAPI
import Linux
import Logging
import SystemPackage

/// What a container may do by a socket of the API that it has.
public enum APIScope: String, Sendable, CaseIterable {
    /// Looks at what there is, without secrets, and changes nothing.
    case readOnly = "read-only"
    /// Looks at the containers of its own project and works with them, but makes none.
    case project
}

/// The same with what it takes to decide.
public enum APIAccess: Sendable {
    case readOnly
    case project(ProjectSocket)
}

/// A socket of the scope `project`.
public struct ProjectSocket: Sendable {
    /// The id of the container that has it.
    let owner: String
    let registry: ContainerRegistry

    /// Those of the project that the container belongs to now, by the label that it has now. Refused when it belongs to none.
    public func members() async throws -> ProjectMembers {
        let container = try? await registry.find(owner)  // Gone: it belongs to none.
        guard let project = await container?.record.config.Labels?[ProjectMembers.label], !project.isEmpty else {
            throw EngineError(.forbidden, "the container that has this socket belongs to no project: it has no label \(ProjectMembers.label)")
        }
        return ProjectMembers(project: project, registry: registry)
    }
}

/// The containers of one project, for somebody to whom there are no others.
public struct ProjectMembers: Sendable {
    /// What Compose marks a project's containers, networks and volumes with.
    public static let label = "com.docker.compose.project"

    /// Never empty.
    public let project: String
    let registry: ContainerRegistry

    /// As a filter of `label`: what belongs to the project.
    public var filter: String { "\(Self.label)=\(project)" }

    private func has(_ container: Container) async -> Bool { await container.record.config.Labels?[Self.label] == project }

    /// The id of the container that a name, an id or the beginning of an id means among those of the project.
    public func container(_ name: String) async throws -> String {
        // What others there are makes no difference.
        if let container = try? await registry.find(name), await has(container) { return container.id }
        let found = name.isEmpty ? [] : await ids().filter { $0.hasPrefix(name) }
        guard found.count <= 1 else { throw EngineError(.invalidArgument, "multiple IDs found with provided prefix: \(name)") }
        guard let id = found.first else { throw EngineError(.notFound, "No such container: \(name)") }
        return id
    }

    /// The ids of all its containers.
    public func ids() async -> Set<String> {
        var ids: Set<String> = []
        for container in await registry.all() where await has(container) { ids.insert(container.id) }
        return ids
    }

    /// Refuses sessions of exec in the containers of others, and privileged ones, whoever made them.
    public func check(session id: String) async throws {
        let (container, session) = try await registry.findExec(id)
        guard await has(container) else { throw EngineError(.notFound, "No such exec instance: \(id)") }
        if session.record.config.Privileged == true {
            throw EngineError(.forbidden, "a privileged exec session is not allowed on this socket, whose scope is project")
        }
    }
}

/// A socket of the API that one container has: which container asks, and what it may, follows from the socket alone.
public final class ScopedListener: Sendable {
    public let access: APIAccess
    /// Over when the container needs it no more.
    public let ended: AsyncStream<Void>
    private let ending: AsyncStream<Void>.Continuation
    private let socket: SharedFD

    /// In a directory that nobody but root enters on the host; in the container it is for everybody. Blocks.
    init(access: APIAccess, at path: FilePath) throws {
        self.access = access
        let directory = try OwnedFD.open(path.removingLastComponent(), [.path, .directory])
        let name = path.lastComponent?.string ?? ""
        let listener = try UnixListener(name: name, in: directory)
        try fchmodat(directory, try FileName(name), mode: 0o666)
        socket = SharedFD(try listener.descriptor.duplicate())
        (ended, ending) = AsyncStream.makeStream()
    }

    /// A further descriptor of the listening socket, for the caller to close.
    public func descriptor() throws -> Int32 { try socket.duplicate().release() }

    func end() { ending.finish() }
}

extension [ResolvedMount] {
    /// Refuses sockets of several scopes: they lead to the same place.
    func checkScopes() throws(EngineError) {
        let scopes = Set(filter { $0.kind == .engineSocket }.map(\.source))
        if scopes.count > 1 { throw EngineError(.invalidArgument, "a container can have sockets of one scope only") }
    }

    /// The same of a new container, and a socket that would never answer.
    func checkSockets(labels: [String: String]?) throws(EngineError) {
        try checkScopes()
        guard contains(where: { $0.kind == .engineSocket && $0.source == APIScope.project.rawValue }) else { return }
        if (labels?[ProjectMembers.label] ?? "").isEmpty {
            throw EngineError(.invalidArgument, "a socket of the scope project needs a container with the label \(ProjectMembers.label)")
        }
    }
}

extension ContainerRecord {
    /// That of the socket which it has.
    var apiScope: APIScope? { mounts.first { $0.kind == .engineSocket }.flatMap { APIScope(rawValue: $0.source) } }
}

extension Container {
    /// Opens the socket that the container is to have, if any, in place of an earlier one: for this process, or for the one that
    /// starts. Only by a start or as `mountsWork`, so that nobody else has the path meanwhile.
    func openAPISocket(for process: RunningContainer? = nil) async throws {
        closeAPISocket()
        guard let scope = record.apiScope else { return }
        let (path, access) = (paths.apiSocket, access(scope))
        let listener = try await blocking { try ScopedListener(access: access, at: path) }
        // Nobody would close that of a process which has ended meanwhile.
        guard phase.process?.pid == process?.pid else { return }
        apiListener = listener
        context.scopedListeners.yield(listener)
    }

    private func access(_ scope: APIScope) -> APIAccess {
        switch scope {
        case .readOnly: .readOnly
        case .project: .project(ProjectSocket(owner: id, registry: registry))
        }
    }

    func closeAPISocket() {
        apiListener?.end()
        apiListener = nil
    }

    /// A socket ends with the engine that listens on it: a container that goes on gets a new one in the same place, as `mountsWork`.
    func renewAPISocket(_ process: RunningContainer) async {
        let mounts = record.mounts.filter { $0.kind == .engineSocket }
        guard !mounts.isEmpty else { return }
        let live = LiveMounts(context: context, pid: process.pid, id: id, paths: paths, listed: record.mounts)
        let planner = ContainerMounts(record: record, paths: paths, privileged: false, runtime: context.paths.runtime)
        do {
            for mount in mounts {
                // Cut off in an earlier life, it may be gone already.
                try? await live.change(coming: [], made: [], leaving: [mount], lazily: true)
            }
            try await openAPISocket(for: process)
            guard phase.process?.pid == process.pid else { return }
            let planned = try await blocking { try mounts.map(planner.userMount) }
            try await live.change(coming: planned, made: [], leaving: [], lazily: false)
        } catch {
            logger.warning("the container is without its socket of the API", metadata: ["error": "\(error)"])
        }
    }
}
