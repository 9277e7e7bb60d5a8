/// What a container is doing, with what exists in that state. Transitions have no side effects; the container's actor
/// claims a state before it awaits anything.
///
/// ```
/// created ─▶ starting ─▶ running ⇄ paused
///    ▲          │           │
///    └──────────┴─▶ exited ◀┘        every state but starting ─▶ removing ─▶ removed
/// ```
enum ContainerPhase: Sendable {
    case created
    case starting
    case running(RunningContainer)
    case paused(RunningContainer)
    case exited
    case removing
    case removed

    /// The process that is there in this state.
    var process: RunningContainer? {
        switch self {
        case .running(let process), .paused(let process): process
        case .created, .starting, .exited, .removing, .removed: nil
        }
    }

    var isPaused: Bool {
        if case .paused = self { true } else { false }
    }

    /// Whether `stop`, `rm` and the like see a live container.
    var isLive: Bool {
        switch self {
        case .starting, .running, .paused: true
        case .created, .exited, .removing, .removed: false
        }
    }

    /// The first step of `start`: a second one fails here, it does not wait in line.
    mutating func beginStart() throws(EngineError) {
        switch self {
        case .created, .exited: self = .starting
        case .running: throw EngineError(.notModified, "")
        case .paused: throw EngineError(.conflict, "cannot start a paused container, try unpause instead")
        case .starting: throw EngineError(.notModified, "")
        case .removing, .removed:
            throw EngineError(.conflict, "container is marked for removal and cannot be started")
        }
    }

    mutating func pause() throws(EngineError) -> RunningContainer {
        guard case .running(let process) = self else {
            throw EngineError(.conflict, isPaused ? "is already paused" : "is not running")
        }
        self = .paused(process)
        return process
    }

    mutating func unpause() throws(EngineError) -> RunningContainer {
        guard case .paused(let process) = self else { throw EngineError(.conflict, "is not paused") }
        self = .running(process)
        return process
    }

    /// The first step of `remove`, once nothing runs any more.
    mutating func beginRemove() throws(EngineError) {
        switch self {
        case .created, .exited: self = .removing
        case .removing: throw EngineError(.conflict, "is already in progress")
        case .removed: throw EngineError(.notFound, "is already removed")
        case .starting, .running, .paused: throw EngineError(.conflict, "is running")
        }
    }
}

/// The live process of a container.
struct RunningContainer: Sendable {
    let pid: Int32
    /// The connection that began with the start; it brings the exit.
    let supervisor: SupervisorConnection
    /// The supervisor itself while it is our child; nil when an earlier life of the engine started it.
    let supervisorPID: Int32?
}
