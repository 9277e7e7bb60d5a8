import Linux
import Logging

/// Hears when somebody removes what networks need, their devices or something of their firewall table, or changes what the
/// host lets pass. On one thread that sleeps until then.
final class HostWatch: Sendable {
    private let stopping: SharedFD

    enum Change: Sendable {
        case deviceGone(String)
        case tableDamaged
        /// iptables' filters, or the ways out of the host, are not what they were.
        case passChanged
    }

    /// Listens from the moment this returns. `changed` is called on the thread.
    static func start(
        host: Host, table: String, firewall: FirewallTable, logger: Logger, changed: @escaping @Sendable (Change) -> Void
    ) async throws -> HostWatch {
        let (links, routes, rules) = try await host.run {
            (try NetlinkListener(.links), try NetlinkListener(.routes), try NetlinkListener(.nftables))
        }
        let (reader, writer) = try openPipe { reading, writing in (SharedFD(reading), SharedFD(writing)) }
        try startThread {
            do {
                try listen(reader, [links, routes, rules], table, firewall, changed)
            } catch {
                logger.error("changes of the host are not noticed any more", metadata: ["error": "\(error)"])
            }
        }
        return HostWatch(stopping: writer)
    }

    private init(stopping: SharedFD) {
        self.stopping = stopping
    }

    private static func listen(
        _ stopping: SharedFD, _ listeners: [NetlinkListener], _ table: String, _ firewall: FirewallTable,
        _ changed: (Change) -> Void
    ) throws {
        let epoll = try Epoll()
        try epoll.add(stopping.raw, .readable, token: 0)
        for (index, listener) in listeners.enumerated() { try epoll.add(listener.raw, .readable, token: UInt64(index + 1)) }
        while true {
            var seen: Set<NetlinkListener.Change> = []
            for event in try epoll.wait(milliseconds: -1) {
                if event.token == 0 { return }
                seen.formUnion(try listeners[Int(event.token) - 1].changes())
            }
            // A program that writes them anew makes hundreds of changes at once.
            var mayPassOthers = false
            for change in seen {
                switch change {
                case .linkRemoved(let name): changed(.deviceGone(name))
                // What we do ourselves is no damage.
                case .tableDamaged(table, let port) where !firewall.isOwn(port: port): changed(.tableDamaged)
                case .filtersChanged(let port) where !firewall.isOwn(port: port): mayPassOthers = true
                case .linkSeen, .routeSeen, .routeGone, .tableDamaged, .filtersChanged: break
                case .overrun(.routes): mayPassOthers = true
                case .overrun: changed(.tableDamaged)
                }
                if firewall.mayMoveUplinks(change) { mayPassOthers = true }
            }
            if mayPassOthers { changed(.passChanged) }
        }
    }

    /// Ends the thread.
    func stop() {
        // Its other end is the thread's; there is nobody else to tell.
        try? stopping.withOwned { try $0.writeAll([1]) }
    }
}
