import Linux
import SystemPackage

/// A call over D-Bus that was answered by an error.
struct DBusError: Error, CustomStringConvertible {
    /// `org.freedesktop.systemd1.UnitExists`
    let name: String
    let message: String

    var description: String { message.isEmpty ? name : message }
}

/// A connection with a message bus, or with systemd itself, over a unix socket. One call at a time.
struct DBusConnection: ~Copyable {
    private let socket: OwnedFD
    /// Whether a bus lies between, which wants a greeting and an address on each message.
    let isBus: Bool
    private var serial: UInt32 = 0
    /// What came before anybody asked for it.
    private var signals: [DBusMessage] = []
    private let deadline: Int64

    /// Connects and tells who we are by our user id, which the other side asks the kernel for as well (SASL EXTERNAL).
    static func open(_ path: FilePath, isBus: Bool, seconds: Int64 = 30) throws -> DBusConnection {
        let socket = try connectUnix(path)
        var connection = DBusConnection(socket, isBus: isBus, deadline: monotonicMilliseconds() + seconds * 1000)
        try connection.authenticate()
        let bus = "org.freedesktop.DBus"
        if isBus { _ = try connection.call(DBusMessage(call: "Hello", bus, path: "/org/freedesktop/DBus", destination: bus)) }
        return connection
    }

    private init(_ socket: consuming OwnedFD, isBus: Bool, deadline: Int64) {
        self.socket = socket
        self.isBus = isBus
        self.deadline = deadline
    }

    private func authenticate() throws {
        let user = "\(CurrentProcess.effectiveUserID)".utf8.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count < 2 ? "0\(digits)" : digits
        }.joined()
        try socket.writeAll([0] + Array("AUTH EXTERNAL \(user)\r\n".utf8))
        var answer: [UInt8] = []
        while !answer.suffix(2).elementsEqual([13, 10]), answer.count < 1024 { answer += try receive(1) }
        guard answer.starts(with: Array("OK ".utf8)) else {
            throw RuntimeError("D-Bus refused us: \(String(decoding: answer.dropLast(2), as: UTF8.self))")
        }
        try socket.writeAll(Array("BEGIN\r\n".utf8))
    }

    private func receive(_ count: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let left = deadline - monotonicMilliseconds()
            guard left > 0, try pollReadable(socket.raw, milliseconds: Int32(clamping: left)) else {
                throw RuntimeError("timed out waiting for an answer over D-Bus")
            }
            let wanted = count - bytes.count
            let part = try withUnsafeTemporaryAllocation(byteCount: wanted, alignment: 1) { buffer in
                Array(buffer[..<(try socket.read(into: buffer))])
            }
            guard !part.isEmpty else { throw RuntimeError("the D-Bus connection was closed") }
            bytes += part
        }
        return bytes
    }

    private func nextMessage() throws -> DBusMessage {
        let head = try receive(16)
        guard let length = DBusMessage.length(head) else { throw RuntimeError("malformed D-Bus message") }
        guard let message = DBusMessage(head + (try receive(length - 16))) else { throw RuntimeError("malformed D-Bus message") }
        return message
    }

    /// Sends a call and waits for its answer.
    mutating func call(_ message: DBusMessage) throws -> [DBusValue] {
        var message = message
        serial += 1
        message.serial = serial
        if !isBus { message.destination = nil }
        try socket.writeAll(message.bytes)
        while true {
            let next = try nextMessage()
            if next.kind == .signal { signals.append(next) }
            guard next.replySerial == serial else { continue }
            if next.kind == .error { throw DBusError(name: next.errorName ?? "", message: next.body.first?.string ?? "") }
            return next.body
        }
    }

    /// Waits for a signal that fits, also one that has come already.
    mutating func signal(_ member: String, where fits: (DBusMessage) -> Bool) throws -> DBusMessage {
        if let early = signals.firstIndex(where: { $0.member == member && fits($0) }) { return signals.remove(at: early) }
        while true {
            let next = try nextMessage()
            if next.kind == .signal, next.member == member, fits(next) { return next }
        }
    }
}
