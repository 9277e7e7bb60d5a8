import Glibc
import Linux
import SystemPackage

/// Speaks the supervisor's protocol, by hand and with nothing of the supervisor's own code.
final class Client {
    struct Frame: Equatable {
        var type: UInt8
        var payload: [UInt8]
        var text: String { String(decoding: payload, as: UTF8.self) }
    }

    struct Silence: Error {}

    let socket: OwnedFD
    private var bytes: [UInt8] = []

    init(_ socket: consuming OwnedFD) {
        self.socket = socket
    }

    func send(_ type: UInt8, _ payload: [UInt8] = []) throws {
        let length = UInt32(payload.count)
        let header = [type, 0, 0, 0, UInt8(length >> 24), UInt8(length >> 16 & 255), UInt8(length >> 8 & 255), UInt8(length & 255)]
        try write(header + payload)
    }

    /// Never a signal when the other side is gone.
    func write(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = try check("send") { rest.withUnsafeBytes { Glibc.send(socket.raw, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) } }
            rest = rest.dropFirst(sent)
        }
    }

    /// The next frame; nil at the end. Throws when nothing comes for twenty seconds.
    func next() throws -> Frame? {
        while true {
            if bytes.count >= 8 {
                let length = bytes[4..<8].reduce(0) { $0 << 8 | Int($1) }
                if bytes.count >= 8 + length {
                    defer { bytes.removeFirst(8 + length) }
                    return Frame(type: bytes[0], payload: Array(bytes[8..<8 + length]))
                }
            }
            var waiting = pollfd(fd: socket.raw, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, 20_000) == 1 else { throw Silence() }
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            let count = try buffer.withUnsafeMutableBytes { try socket.read(into: $0) }
            if count == 0 { return nil }
            bytes += buffer[..<count]
        }
    }

    /// Everything up to the end.
    func rest() throws -> [Frame] {
        var frames: [Frame] = []
        while let frame = try next() { frames.append(frame) }
        return frames
    }

    /// Output of one type until it has so many bytes or ends with a text.
    func output(_ type: UInt8 = 1, until end: String) throws -> String {
        var bytes: [UInt8] = []
        while !String(decoding: bytes, as: UTF8.self).hasSuffix(end), let frame = try next() {
            if frame.type == type { bytes += frame.payload }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension [Client.Frame] {
    func output(_ type: UInt8 = 1) -> [UInt8] { filter { $0.type == type }.flatMap(\.payload) }
    var text: String { String(decoding: output(), as: UTF8.self) }
    func first(_ type: UInt8) -> Client.Frame? { first { $0.type == type } }
}
