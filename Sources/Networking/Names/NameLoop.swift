import Linux

/// What the server's thread does: waits for whatever comes, and answers it. Everything in here has a limit; nothing waits
/// but `epoll`.
struct NameLoop: ~Copyable {
    private enum Limit {
        static let forwards = 1024
        static let forwardsOfContainer = 128
        static let clients = 512
        static let clientsOfContainer = 32
        static let query = 4096
        /// Datagrams taken from one container before others have their turn.
        static let burst = 32
    }

    private enum Source {
        case commands
        case datagrams(containerID: String, InternetSocket)
        case listener(containerID: String, InternetSocket)
        case client(NameClient)
        case forward(NameForward)
    }

    private let table: NameTable
    private let wakeUp: SharedFD
    private let epoll: Epoll
    private var upstreams: Upstreams
    private var cache = AnswerCache()
    private var sources: [UInt64: Source] = [0: .commands]
    private var tokens: [String: [UInt64]] = [:]
    private var nextToken: UInt64 = 1
    private var forwardCounts: [String: Int] = [:]
    private var clientCounts: [String: Int] = [:]
    private var forwardCount = 0
    private var clientCount = 0
    private var hasDeadlines: Bool { forwardCount + clientCount > 0 }

    init(table: NameTable, upstreams: Upstreams, wakeUp: SharedFD) throws {
        let epoll = try Epoll()
        try epoll.add(wakeUp.raw, .readable, token: 0)
        self.table = table
        self.upstreams = upstreams
        self.wakeUp = wakeUp
        self.epoll = epoll
    }

    /// Until it is told to stop.
    mutating func run(_ takeCommands: () -> [NameServer.Command]) throws {
        while true {
            for event in try epoll.wait(milliseconds: hasDeadlines ? 250 : -1) {
                guard let source = sources[event.token] else { continue }  // Closed by an earlier event of this round.
                switch source {
                case .commands:
                    // First the bytes: a command that comes after this has a byte of its own.
                    let goesOn = try readOff()
                    for command in takeCommands() { handle(command) }
                    guard goesOn else { return }
                case .datagrams(let containerID, let socket): receive(socket, containerID)
                case .listener(let containerID, let socket): accept(socket, containerID)
                case .client(let client): serve(client, event)
                case .forward(let forward): advance(forward, event)
                }
            }
            if hasDeadlines { endLate() }
        }
    }

    /// False when the other end is closed.
    private func readOff() throws -> Bool {
        var bytes = [UInt8](repeating: 0, count: 512)
        return try bytes.withUnsafeMutableBytes { buffer in try wakeUp.withOwned { try $0.read(into: buffer) } } > 0
    }

    private mutating func handle(_ command: NameServer.Command) {
        switch command {
        case .add(let containerID, let sockets):
            remove(containerID)
            watch(.datagrams(containerID: containerID, sockets.datagrams), sockets.datagrams, .readable, containerID)
            watch(.listener(containerID: containerID, sockets.listener), sockets.listener, .readable, containerID)
        case .remove(let containerID): remove(containerID)
        case .stop: break
        }
    }

    @discardableResult
    private mutating func watch(
        _ source: Source, _ socket: InternetSocket, _ interest: Epoll.Interest, _ containerID: String
    ) -> UInt64? {
        let token = nextToken
        // Without memory for it the client asks again.
        guard (try? epoll.add(socket.raw, interest, token: token)) != nil else { return nil }
        nextToken += 1
        sources[token] = source
        tokens[containerID, default: []].append(token)
        return token
    }

    private mutating func remove(_ containerID: String) {
        for token in tokens.removeValue(forKey: containerID) ?? [] { sources[token] = nil }
        forwardCount -= forwardCounts.removeValue(forKey: containerID) ?? 0
        clientCount -= clientCounts.removeValue(forKey: containerID) ?? 0
    }

    private mutating func forget(_ token: UInt64, of containerID: String) {
        guard let source = sources.removeValue(forKey: token) else { return }
        tokens[containerID]?.removeAll { $0 == token }
        switch source {
        case .client(let client):
            // A question on its way may keep the socket open, and then the kernel goes on telling of it.
            try? epoll.remove(client.socket.raw)
            clientCount -= 1
            clientCounts[containerID, default: 1] -= 1
        case .forward:
            forwardCount -= 1
            forwardCounts[containerID, default: 1] -= 1
        case .commands, .datagrams, .listener: break
        }
    }

    // MARK: Questions

    private mutating func receive(_ socket: InternetSocket, _ containerID: String) {
        for _ in 0..<Limit.burst {
            // An error of an earlier answer shows here; the next datagram is another matter.
            guard let datagram = try? socket.receive(limit: Limit.query + 1), let sender = datagram.sender else { return }
            ask(datagram.bytes, NameAsker(containerID: containerID, way: .datagram(socket, sender)))
        }
    }

    private mutating func ask(_ bytes: [UInt8], _ asker: NameAsker) {
        let query: DNSQuery
        do throws(DNSFormatError) {
            guard bytes.count <= Limit.query else { throw DNSFormatError() }
            query = try DNSQuery(bytes)
        } catch {
            if let answer = DNSAnswer.failure(error) { reply(answer, to: asker) }
            return
        }
        guard query.recordClass == 1 || query.recordClass == 255 else {
            return reply(DNSAnswer.answer(query, [], code: .refused), to: asker)
        }
        switch table.answer(query.name, type: query.type, for: asker.containerID) {
        case .addresses(let addresses): reply(DNSAnswer.answer(query, addresses.map { .address($0) }), to: asker, query)
        case .name(let name): reply(DNSAnswer.answer(query, [.name(DNSName(name))]), to: asker, query)
        case .nothing: reply(DNSAnswer.answer(query, []), to: asker, query)
        case .unknown: askOthers(query, asker)
        }
    }

    private mutating func askOthers(_ query: DNSQuery, _ asker: NameAsker) {
        let now = monotonicMilliseconds()
        guard let own = table.servers(for: asker.containerID) else {
            // Nothing leaves an internal network, not even a question.
            return reply(DNSAnswer.answer(query, [], code: .noSuchName), to: asker)
        }
        if upstreams.refresh(now: now) { cache.removeAll() }
        let servers = own.isEmpty ? upstreams.addresses : own
        if let known = cache.answer(query, servers: servers, now: now) { return reply(known, to: asker, query) }
        let addresses = servers.compactMap { IPAddress($0) }.filter { $0 != NameSockets.address || own.isEmpty }
        guard forwardCount < Limit.forwards, forwardCounts[asker.containerID, default: 0] < Limit.forwardsOfContainer else {
            return reply(DNSAnswer.answer(query, [], code: .serverFailure, isOurs: false), to: asker)
        }
        next(NameForward(query: query, asker: asker, key: servers, servers: addresses))
    }

    private func reply(_ bytes: [UInt8], to asker: NameAsker, _ query: DNSQuery? = nil) {
        switch asker.way {
        case .datagram(let socket, let sender):
            let isLong = query.map { bytes.count > $0.largestAnswer } ?? false
            let answer = isLong ? query.map(DNSAnswer.truncated) ?? bytes : bytes
            // Lost like any datagram; the client asks again.
            try? socket.send(answer, to: sender)
        case .stream(let client):
            client.add(bytes)
            _ = client.flush()
            updateInterest(client)
        }
    }

    // MARK: Other servers

    /// Asks the next server of the list, or gives up.
    private mutating func next(_ forward: NameForward) {
        let now = monotonicMilliseconds()
        while let server = forward.takeServer() {
            guard let socket = forward.ask(server, now: now),
                let token = watch(.forward(forward), socket, forward.isStream ? .writable : .readable, forward.asker.containerID)
            else { continue }
            forward.token = token
            forwardCount += 1
            forwardCounts[forward.asker.containerID, default: 0] += 1
            return
        }
        reply(DNSAnswer.answer(forward.query, [], code: .serverFailure, isOurs: false), to: forward.asker, forward.query)
    }

    private mutating func advance(_ forward: NameForward, _ event: Epoll.Event) {
        switch forward.advance(event) {
        case .waiting: return
        case .reading:
            if let socket = forward.socket { try? epoll.modify(socket.raw, .readable, token: forward.token) }  // As in `watch`.
        case .failed:
            forget(forward.token, of: forward.asker.containerID)
            next(forward)
        case .answered(let bytes, let answer):
            forget(forward.token, of: forward.asker.containerID)
            cache.store(bytes, answer, to: forward.query, servers: forward.key, now: monotonicMilliseconds())
            reply(bytes, to: forward.asker, forward.query)
        }
    }

    // MARK: Clients of TCP

    private mutating func accept(_ listener: InternetSocket, _ containerID: String) {
        // A connection that is lost already, or no descriptor left for it: nothing to serve.
        for _ in 0..<Limit.burst {
            guard let socket = try? listener.accept() else { return }
            guard clientCount < Limit.clients, clientCounts[containerID, default: 0] < Limit.clientsOfContainer else { continue }
            let client = NameClient(containerID: containerID, socket: socket, now: monotonicMilliseconds())
            guard let token = watch(.client(client), socket, .readable, containerID) else { continue }
            client.token = token
            clientCount += 1
            clientCounts[containerID, default: 0] += 1
        }
    }

    private mutating func serve(_ client: NameClient, _ event: Epoll.Event) {
        guard client.read(now: monotonicMilliseconds()) else { return forget(client.token, of: client.containerID) }
        while let query = client.takeQuery() {
            ask(query, NameAsker(containerID: client.containerID, way: .stream(client)))
        }
        guard client.flush() else { return forget(client.token, of: client.containerID) }
        updateInterest(client)
    }

    private func updateInterest(_ client: NameClient) {
        // When this fails the client is late, and ends by that.
        try? epoll.modify(client.socket.raw, client.hasOutput ? [.readable, .writable] : .readable, token: client.token)
    }

    private mutating func endLate() {
        let now = monotonicMilliseconds()
        for source in sources.values {
            switch source {
            case .forward(let forward) where now >= forward.deadline:
                forget(forward.token, of: forward.asker.containerID)
                next(forward)
            case .client(let client) where now >= client.deadline: forget(client.token, of: client.containerID)
            default: continue
            }
        }
    }
}
