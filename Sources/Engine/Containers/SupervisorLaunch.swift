import Blocking
import Linux
import NIOCore
import OCI
import SystemPackage

/// Starts a supervisor and hears of the process that it made. docs/run.md tells the whole story.
struct SupervisorLaunch {
    let context: EngineContext

    struct Launched: Sendable {
        /// The container's first process, waiting at its barrier.
        let pid: Int32
        let supervisor: SupervisorConnection
        let supervisorPID: Int32
    }

    /// `directory` exists and holds `config.json`. `root` is the detached root mount of a container, `mounts` are others,
    /// which the configuration names by their number.
    func run(directory: FilePath, arguments: [String], root: SharedFD?, mounts: [SharedFD] = []) async throws -> Launched {
        let (connection, pid) = try await spawnSupervisor(directory, arguments, root, mounts)
        do {
            guard let frame = try await connection.next() else {
                throw EngineError(.internalError, "the supervisor ended before the container began; see \(directory)/supervisor.log")
            }
            switch frame.kind {
            case .created:
                guard let process = frame.payload.getInteger(at: frame.payload.readerIndex, as: UInt32.self) else {
                    throw EngineError(.internalError, "malformed frame from the supervisor")
                }
                return Launched(pid: Int32(bitPattern: process), supervisor: connection, supervisorPID: pid)
            case .failed:
                throw StartFailure(frame)
            default:
                throw EngineError(.internalError, "unexpected frame from the supervisor: \(frame.kind)")
            }
        } catch {
            connection.close()
            await context.reaper.add(pid)
            throw error
        }
    }

    private func spawnSupervisor(_ directory: FilePath, _ arguments: [String], _ root: SharedFD?, _ mounts: [SharedFD])
        async throws -> (SupervisorConnection, Int32)
    {
        let runtime = context.runtime
        let cache = context.paths.seccompCache
        let (ours, pid) = try await blocking { () -> (SharedFD, Int32) in
            let null = try OwnedFD.open("/dev/null", .readWrite)
            let log = try OwnedFD.open(directory.appending("supervisor.log"), [.writeOnly, .create, .append])
            let (ours, theirs) = try SocketPair().take()
            var descriptors = [null.raw, log.raw, log.raw, theirs.raw]
            var arguments = ["supervise"] + arguments + ["--dir", directory.string, "--control-fd", "3", "--seccomp-cache", cache.string]
            if let root {
                descriptors.append(root.raw)
                arguments += ["--root-fd", "4"]
            }
            for mount in mounts {
                arguments += ["--mount-fd", "\(descriptors.count)"]
                descriptors.append(mount.raw)
            }
            let pid = try runtime.spawn(arguments: arguments, environment: [], descriptors: descriptors)
            withExtendedLifetime((theirs, root, mounts)) {}
            return (ours, pid)
        }
        do {
            return (try await SupervisorConnection.adopt(try ours.duplicate(), group: context.eventLoops), pid)
        } catch {
            await context.reaper.add(pid)
            throw error
        }
    }
}

/// The container's first process could not become the command.
struct StartFailure: Error, CustomStringConvertible {
    /// 127: not found, 126: cannot be executed, 128: anything else.
    let exitCode: Int32
    let message: String

    init(_ frame: SupervisorFrame) {
        var payload = frame.payload
        exitCode = Int32(bitPattern: payload.readInteger(as: UInt32.self) ?? 128)
        message = String(buffer: payload)
    }

    var description: String { message }
}

extension SupervisorConnection {
    /// After START: returns when the command runs, throws `StartFailure` when it could not be executed.
    func awaitStarted() async throws {
        while let frame = try await next() {
            switch frame.kind {
            case .started: return
            case .failed: throw StartFailure(frame)
            default: continue
            }
        }
        throw EngineError(.internalError, "the supervisor ended while the container started")
    }

    /// A first process that cannot go on ends while the engine still works for it, whose steps then fail as well: what the
    /// supervisor says, if it says something soon, is the reason, and `error` only what followed from it.
    func failure(behind error: any Error) async -> any Error {
        if error is StartFailure { return error }
        return await withTaskGroup(of: (any Error)?.self) { group in
            group.addTask {
                do {
                    try await self.awaitStarted()
                    return nil
                } catch {
                    return error as? StartFailure
                }
            }
            group.addTask {
                // Cut short when the answer comes.
                try? await Task.sleep(for: .milliseconds(500))
                self.close()
                return nil
            }
            for await found in group {
                group.cancelAll()
                return found ?? error
            }
            return error
        }
    }
}

/// Takes note of supervisors that have ended, so that none stays behind as a zombie. They live as long as their
/// containers, so nobody waits for them on a thread: an ended one is asked for until it is gone.
actor SupervisorReaper {
    private var ended: Set<Int32> = []
    private var task: Task<Void, Never>?

    /// The supervisor's connection is closed: it has ended or is about to.
    func add(_ pid: Int32) {
        guard !reapIfEnded(pid) else { return }
        ended.insert(pid)
        if task == nil { task = Task { await self.reap() } }
    }

    private func reap() async {
        while !ended.isEmpty {
            ended = ended.filter { !reapIfEnded($0) }
            // Cancelled only when the engine itself ends.
            guard (try? await Task.sleep(for: .milliseconds(20))) != nil else { break }
        }
        task = nil
    }
}
