import CLinux
import Glibc

/// Waits for many descriptors at once (epoll(7)), level-triggered.
public struct Epoll: ~Copyable, Sendable {
    private let descriptor: OwnedFD

    /// What a descriptor is watched for.
    public struct Interest: OptionSet, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        public static let readable = Interest(rawValue: 1)
        public static let writable = Interest(rawValue: 4)
    }

    /// What happened. `ended` is the loss of the other side, which is told whatever the interest is.
    public struct Event: Sendable {
        public let token: UInt64
        public let isReadable: Bool
        public let isWritable: Bool
        public let hasEnded: Bool
    }

    public init() throws(SystemError) {
        descriptor = OwnedFD(adopting: try check("epoll_create1") { epoll_create1(Int32(EPOLL_CLOEXEC)) })
    }

    /// Begins to watch a descriptor; events carry the token. A descriptor that is closed is watched no longer.
    public func add(_ descriptor: Int32, _ interest: Interest, token: UInt64) throws(SystemError) {
        try control(EPOLL_CTL_ADD, descriptor, interest, token)
    }

    public func modify(_ descriptor: Int32, _ interest: Interest, token: UInt64) throws(SystemError) {
        try control(EPOLL_CTL_MOD, descriptor, interest, token)
    }

    /// Forgets a descriptor, which stays open.
    public func remove(_ descriptor: Int32) throws(SystemError) {
        try control(EPOLL_CTL_DEL, descriptor, [], 0)
    }

    /// Waits for at least one event, at most so many milliseconds (-1 is for ever).
    public func wait(milliseconds: Int32) throws(SystemError) -> [Event] {
        let raw = descriptor.raw
        return try withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: 32) {
            (events) -> Result<[Event], SystemError> in
            do throws(SystemError) {
                let count = try check("epoll_wait") { epoll_wait(raw, events.baseAddress, 32, milliseconds) }
                return .success(
                    events[..<Int(count)].map { event in
                        Event(
                            token: event.data.u64, isReadable: event.events & 1 != 0, isWritable: event.events & 4 != 0,
                            hasEnded: event.events & 0x18 != 0)
                    })
            } catch {
                return .failure(error)
            }
        }.get()
    }

    private func control(
        _ operation: Int32, _ watched: Int32, _ interest: Interest, _ token: UInt64
    ) throws(SystemError) {
        var event = epoll_event(events: interest.rawValue, data: epoll_data_t(u64: token))
        let raw = descriptor.raw
        try check("epoll_ctl", "\(watched)") { epoll_ctl(raw, operation, watched, &event) }
    }
}
