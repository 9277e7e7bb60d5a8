import Linux

/// Somebody who is connected to the supervisor: the engine by its control connection, or whoever found the socket.
final class Connection {
    /// What of the container's streams goes to or comes from this connection.
    struct Attachment: OptionSet {
        let rawValue: UInt8

        static let stdout = Attachment(rawValue: 1)
        static let stderr = Attachment(rawValue: 2)
        static let stdin = Attachment(rawValue: 4)
        static let lossEndsStdin = Attachment(rawValue: 8)
        static let all: Attachment = [.stdout, .stderr, .stdin, .lossEndsStdin]
    }

    let socket: OwnedFD
    let token: UInt64
    let isControl: Bool
    var attachment: Attachment = []
    var isSubscribed: Bool
    var reader = FrameReader()
    /// Frames for the container's stdin wait here no longer, but in the socket, until the container reads on.
    var waitsForStdin = false
    /// The other side sends nothing more; it may still listen.
    var hasStoppedSending = false
    /// The other side is gone; what it said before may not have been taken yet.
    var isGone = false
    /// Nothing can be sent or taken any more, or what it says cannot be understood.
    var isLost = false
    /// What the loop watches it for; nil is not at all.
    var watched: Epoll.Interest?

    private var output = ByteQueue()
    private var hasEndedOutput = false

    init(_ socket: consuming OwnedFD, token: UInt64, isControl: Bool) {
        self.socket = socket
        self.token = token
        self.isControl = isControl
        isSubscribed = isControl
    }

    /// Nothing of it is under way, and it is there.
    var isIdle: Bool { waiting == 0 && reader.isEmpty && !waitsForStdin && !isGone && !isLost }

    /// How much waits to be taken by the other side.
    var waiting: Int { output.count }

    func send(_ type: FrameType, _ payload: some Collection<UInt8>) {
        if isLost || hasEndedOutput { return }
        output.append(Frame.header(type, length: payload.count))
        output.append(payload)
        flush()
    }

    /// Sends what the socket has room for.
    func flush() {
        if isLost { return }
        do {
            try output.drain { (bytes) throws(SystemError) in try socket.sendAvailable(bytes) }
        } catch {
            // The other side is gone; what it did not take, nobody misses.
            output = ByteQueue()
            isLost = true
        }
    }

    /// Tells the other side that nothing more will come, once it has taken everything. True when that is so.
    func finish() -> Bool {
        if isLost { return true }
        if waiting > 0 { return false }
        if !hasEndedOutput {
            hasEndedOutput = true
            // A connection that is gone by now is finished as well.
            try? socket.shutdownSending()
        }
        return true
    }

    /// What it is to be watched for; nil is not at all. A loss is told again and again to whoever is watched, wanted or
    /// not, so who is gone already is left out.
    var interest: Epoll.Interest? {
        if isGone { return nil }
        var interest: Epoll.Interest = []
        if !waitsForStdin && !hasStoppedSending { interest.insert(.readable) }
        if waiting > 0 { interest.insert(.writable) }
        return interest
    }
}
