import Linux
import Logging

/// Hears when somebody removes what networks need: their devices, or something of their firewall table. On one thread that
/// sleeps until then.
final class HostWatch: Sendable {
    private let stopping: SharedFD

    /// Listens from the moment this returns. `changed` is called on the thread: with the name of a device that is gone, or
    /// with nil for the firewall.
    static func start(
        host: Host, table: String, firewall: FirewallTable, logger: Logger, changed: @escaping @Sendable (String?) -> Void
    ) async throws -> HostWatch {
        let (links, rules) = try await host.run { (try NetlinkListener(.links), try NetlinkListener(.nftables)) }
        let (reader, writer) = try openPipe { reading, writing in (SharedFD(reading), SharedFD(writing)) }
        try startThread {
            do {
                try listen(reader, links, rules, table, firewall, changed)
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
        _ stopping: SharedFD, _ links: NetlinkListener, _ rules: NetlinkListener, _ table: String, _ firewall: FirewallTable,
        _ changed: (String?) -> Void
    ) throws {
        let epoll = try Epoll()
        try epoll.add(stopping.raw, .readable, token: 0)
        try epoll.add(links.raw, .readable, token: 1)
        try epoll.add(rules.raw, .readable, token: 2)
        while true {
            var seen: [NetlinkListener.Change] = []
            for event in try epoll.wait(milliseconds: -1) {
                switch event.token {
                case 0: return
                case 1: seen += try links.changes()
                default: seen += try rules.changes()
                }
            }
            for change in seen {
                switch change {
                case .linkRemoved(let name): changed(name)
                // What we do ourselves is no damage.
                case .tableDamaged(table, let port) where !firewall.isOwn(port: port): changed(nil)
                case .tableDamaged: continue
                case .overrun: changed(nil)
                }
            }
        }
    }

    /// Ends the thread.
    func stop() {
        // Its other end is the thread's; there is nobody else to tell.
        try? stopping.withOwned { try $0.writeAll([1]) }
    }
}
