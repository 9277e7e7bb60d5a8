import Linux
import Logging
import Synchronization

/// Answers the questions of all containers about names, on one thread with one `epoll` loop.
///
/// Each container has a UDP and a TCP socket of this server inside its own network namespace, at 127.0.0.11, so that names
/// work on every network, whatever its firewall says, and no packet about them is ever on a wire. `NameSockets` opens them.
/// What nobody here knows is asked of the host's name servers, from the host's namespace.
final class NameServer: Sendable {
    enum Command: Sendable {
        case add(containerID: String, sockets: NameSockets)
        case remove(containerID: String)
        case stop
    }

    let table: NameTable
    private let host: Host
    private let resolver: HostResolver
    private let logger: Logger
    private let state = Mutex(State())

    private struct State {
        var commands: [Command] = []
        /// The thread's ear, while it runs.
        var wakeUp: SharedFD?
    }

    init(table: NameTable, host: Host, resolver: HostResolver, logger: Logger) {
        self.table = table
        self.host = host
        self.resolver = resolver
        self.logger = logger
    }

    /// Begins to listen for a container; what listened for it before is closed. The first call starts the thread.
    func add(_ sockets: NameSockets, for containerID: String) throws {
        try send(.add(containerID: containerID, sockets: sockets), starts: true)
    }

    func remove(_ containerID: String) {
        do {
            try send(.remove(containerID: containerID), starts: false)
        } catch {
            logger.warning("the server of names could not be told", metadata: ["container": "\(containerID)", "error": "\(error)"])
        }
    }

    /// Ends the thread and closes everything.
    func stop() {
        // A thread that is gone needs no telling.
        try? send(.stop, starts: false)
    }

    private func send(_ command: Command, starts: Bool) throws {
        try state.withLock { state in
            if state.wakeUp == nil {
                guard starts else { return }
                state.wakeUp = try start()
            }
            state.commands.append(command)
            if case .stop = command {
                state.wakeUp = nil  // The closed pipe says it.
            } else {
                try state.wakeUp?.withOwned { try $0.writeAll([1]) }
            }
        }
    }

    private func start() throws -> SharedFD {
        try openPipe { reading, writing in
            let reader = SharedFD(reading)
            try startThread { [self] in
                do {
                    // Questions to other servers leave from the host's namespace.
                    if let namespace = host.namespace { try NetworkNamespace.enter(namespace.raw) }
                    var loop = try NameLoop(table: table, upstreams: Upstreams(resolver), wakeUp: reader)
                    try loop.run { self.takeCommands() }
                } catch {
                    logger.error("the server of names has ended", metadata: ["error": "\(error)"])
                    state.withLock { $0.wakeUp = nil }
                }
            }
            return SharedFD(writing)
        }
    }

    private func takeCommands() -> [Command] {
        state.withLock { state in
            defer { state.commands = [] }
            return state.commands
        }
    }
}

/// The server's two sockets in a container's namespace.
///
/// They have ports of the kernel's choice, so that a container may have a server of names itself, at any address and port
/// 53. A table in its namespace rewrites the ports of packets to and from 127.0.0.11:53, without connection tracking.
struct NameSockets: Sendable {
    static let address = IPAddress(v4: 0x7f00_000b)
    static let port: UInt16 = 53

    let datagrams: InternetSocket
    let listener: InternetSocket

    /// Opens them and installs the rules, in the calling thread's namespace. Replaces the rules of an earlier engine.
    static func open() throws -> NameSockets {
        var route = try RouteSocket()
        if let loopback = try route.link(named: "lo"), !loopback.isUp { try route.setUp(loopback.index) }
        let sockets = NameSockets(datagrams: try InternetSocket(.udp, .v4), listener: try InternetSocket(.tcp, .v4))
        try sockets.datagrams.bind(SocketAddress(address, port: 0))
        try sockets.listener.bind(SocketAddress(address, port: 0))
        try sockets.listener.listen()
        var nft = try NftSocket()
        // Replacing is for a new engine: the kernel takes 10 ms and more for what it deletes.
        let isThere = try nft.hasTable(table)
        try nft.commit(rules(udp: try sockets.datagrams.port(), tcp: try sockets.listener.port(), replacing: isThere))
        return sockets
    }

    private static let table = "skiff-names"

    private static func rules(udp: UInt16, tcp: UInt16, replacing: Bool) -> NftTransaction {
        var transaction = NftTransaction(table: table)
        if replacing { transaction.deleteTable() }
        transaction.addTable()
        transaction.addChain("output", hook: NftHook(.filter, .output, priority: -300))
        let (all, own) = (Rule.ones(4), address.bytes)
        for (proto, actual, checksum) in [(UInt8(17), udp, UInt32(6)), (6, tcp, 16)] {
            let isProtocol: [NftExpression] = [.meta(.transport), .compare(.equal, [proto])]
            transaction.addRule(
                "output", Rule.ipv4 + Rule.to((own, all)) + isProtocol + rewrite(from: port, to: actual, offset: 2, checksum))
            transaction.addRule(
                "output", Rule.ipv4 + Rule.from((own, all)) + isProtocol + rewrite(from: actual, to: port, offset: 0, checksum))
        }
        return transaction
    }

    private static func rewrite(from old: UInt16, to new: UInt16, offset: UInt32, _ checksum: UInt32) -> [NftExpression] {
        [
            .payload(.transport, offset: offset, length: 2), .compare(.equal, [UInt8(old >> 8), UInt8(old & 0xff)]),
            .load([UInt8(new >> 8), UInt8(new & 0xff)]),
            .writeTransport(offset: offset, length: 2, checksumOffset: checksum),
        ]
    }
}
