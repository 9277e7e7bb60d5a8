public import DockerAPI
import Linux
import Synchronization

/// Tells what happens to whoever listens, and remembers the newest for those who ask later.
public final class EventHub: Sendable {
    private struct State {
        var listeners: [Int: AsyncStream<EventMessage>.Continuation] = [:]
        var nextListener = 0
        var history: [EventMessage] = []
        var published = 0
    }

    private let state = Mutex(State())
    /// As many as Docker keeps.
    private static let historyLimit = 256
    /// A listener that is this far behind loses the oldest of what waits for it.
    private static let listenerLimit = 4096

    public init() {}

    func publish(_ type: String, _ action: String, id: String, attributes: [String: String] = [:]) {
        let now = Timestamp.now()
        var event = EventMessage()
        event.`Type` = type
        event.Action = action
        var actor = EventActor()
        actor.ID = id
        actor.Attributes = attributes
        event.Actor = actor
        event.scope = "local"
        event.time = now.seconds
        event.timeNano = now.unixNanoseconds
        if type == "container" || type == "image" {
            event.status = action
            event.id = id
            event.from = attributes["image"]
        }
        let listeners = state.withLock { state in
            state.published += 1
            state.history.append(event)
            if state.history.count > Self.historyLimit { state.history.removeFirst() }
            return Array(state.listeners.values)
        }
        for listener in listeners { listener.yield(event) }
    }

    /// Remembered events not before `since`, and, as long as the caller iterates, what happens from now on.
    public func subscribe(since: Timestamp?) -> (history: [EventMessage], live: AsyncStream<EventMessage>) {
        let (stream, continuation) = AsyncStream.makeStream(
            of: EventMessage.self, bufferingPolicy: .bufferingNewest(Self.listenerLimit))
        let history = state.withLock { state in
            let number = state.nextListener
            state.nextListener += 1
            state.listeners[number] = continuation
            continuation.onTermination = { [weak self] _ in
                self?.state.withLock { _ = $0.listeners.removeValue(forKey: number) }
            }
            guard let since else { return [EventMessage]() }
            return state.history.filter { ($0.timeNano ?? 0) >= since.unixNanoseconds }
        }
        return (history, stream)
    }

    /// Since the engine has started.
    public var publishedCount: Int { state.withLock { $0.published } }

    public var listenerCount: Int { state.withLock { $0.listeners.count } }
}
