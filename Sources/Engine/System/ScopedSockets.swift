import Blocking
import Linux
import Logging
import SystemPackage

/// What a container may do by a socket of the API that it has.
public enum APIScope: String, Sendable, CaseIterable {
    /// Looks at what there is, without secrets, and changes nothing.
    case readOnly = "read-only"
}

/// A socket of the API that one container has: which container asks, and what it may, follows from the socket alone.
public final class ScopedListener: Sendable {
    public let scope: APIScope
    /// Over when the container needs it no more.
    public let ended: AsyncStream<Void>
    private let ending: AsyncStream<Void>.Continuation
    private let socket: SharedFD

    /// In a directory that nobody but root enters on the host; in the container it is for everybody. Blocks.
    init(scope: APIScope, at path: FilePath) throws {
        self.scope = scope
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
        let path = paths.apiSocket
        let listener = try await blocking { try ScopedListener(scope: scope, at: path) }
        // Nobody would close that of a process which has ended meanwhile.
        guard phase.process?.pid == process?.pid else { return }
        apiListener = listener
        context.scopedListeners.yield(listener)
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
