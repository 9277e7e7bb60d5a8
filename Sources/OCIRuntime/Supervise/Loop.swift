import Linux

extension Supervisor {
    /// Goes on until everything is over and told.
    func run() throws {
        while true {
            if isFinished() { return }
            try watch()
            let events = try epoll.wait(milliseconds: patience())
            if let due = log?.destination.due, monotonicMilliseconds() >= due { log?.goOn() }
            if events.isEmpty && mayRenew && !isHeldUp { renew() }
            for event in events { try handle(event) }
            if !events.isEmpty && isHeldUp { (mayRenew, isHeldUp) = (true, false) }
            letSendersGoOn()
            hearThoseWhoLeft()
            dropLost()
        }
    }

    private func handle(_ event: Epoll.Event) throws {
        switch event.token {
        case Token.listener: try accept()
        case Token.children: try reapAll()
        case Token.status: try hearLaunch()
        case Token.stdin: input?.flush()
        case Token.log: log?.goOn()
        case Token.stdout, Token.stderr:
            // The list changes when the process ends within one round of events.
            if let source = sources.first(where: { $0.token == event.token }), !source.hasEnded { try pass(source) }
        default:
            guard let connection = connections.first(where: { $0.token == event.token }) else { return }
            if event.isReadable || event.hasEnded { hear(connection) }
            if event.isWritable { connection.flush() }
            if event.hasEnded { connection.isGone = true }
        }
    }

    /// Takes the last words of connections whose other side is gone, unless they have to wait for stdin.
    private func hearThoseWhoLeft() {
        for connection in connections where connection.isGone && !connection.waitsForStdin {
            hear(connection)
            if !connection.waitsForStdin { connection.isLost = true }
        }
    }

    /// One read of output, to the log and to whoever is attached. Says how much it was.
    @discardableResult
    func pass(_ source: OutputSource) throws -> Int {
        switch try source.descriptor.readAvailable(into: readBuffer) {
        case .later: return 0
        case .end:
            if source.isWatched { try epoll.remove(source.descriptor.raw) }
            source.isWatched = false
            source.hasEnded = true
            return 0
        case .bytes(let count):
            let bytes = UnsafeRawBufferPointer(rebasing: readBuffer[..<count])
            log?.write(bytes, source.stream)
            let (attachment, type): (Connection.Attachment, FrameType) =
                source.stream == .stdout ? (.stdout, .stdout) : (.stderr, .stderr)
            for connection in connections where connection.attachment.contains(attachment) {
                connection.send(type, bytes)
            }
            return count
        }
    }

    /// Brings what is watched in line with what is wanted.
    private func watch() throws {
        let isHeldUp = connections.contains { $0.waiting >= Self.mostWaiting && !$0.isLost }
        for source in sources where !source.hasEnded && source.isWatched == isHeldUp {
            // Taken out entirely: the loss of the other end is told to whoever is watched, wanted or not.
            if isHeldUp {
                try epoll.remove(source.descriptor.raw)
            } else {
                try epoll.add(source.descriptor.raw, .readable, token: source.token)
            }
            source.isWatched = !isHeldUp
        }
        if let input, let raw = input.rawFD {
            if input.isWaiting && !input.isWatched { try epoll.add(raw, .writable, token: Token.stdin) }
            if !input.isWaiting && input.isWatched { try epoll.remove(raw) }
            input.isWatched = input.isWaiting
        }
        let waiting = log?.destination.waitingFD
        if waiting != watchesLog {
            if let watchesLog { try epoll.remove(watchesLog) }
            if let waiting { try epoll.add(waiting, .writable, token: Token.log) }
            watchesLog = waiting
        }
        for connection in connections {
            let wanted = connection.interest
            if wanted == connection.watched { continue }
            let raw = connection.socket.raw
            switch (connection.watched, wanted) {
            case (nil, let interest?): try epoll.add(raw, interest, token: connection.token)
            case (_?, let interest?): try epoll.modify(raw, interest, token: connection.token)
            case (_?, nil): try epoll.remove(raw)
            case (nil, nil): break
            }
            connection.watched = wanted
        }
    }

    /// How long to wait for events: for ever, but for the end of the time that others have to take their data, for entries of the
    /// log that are due, and for the moment when nothing has happened for long enough.
    private func patience() -> Int32 {
        if let next = [deadline, log?.destination.due].compactMap({ $0 }).min() {
            return Int32(clamping: max(0, next - monotonicMilliseconds()))
        }
        if case .running = phase, mayRenew { return Self.quietMilliseconds }
        return -1
    }
}
