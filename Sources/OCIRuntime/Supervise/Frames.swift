/// What is said between the supervisor and whoever is connected to it. A frame is a header of eight bytes, as in Docker's
/// streams, and its payload:
///
///     type   0 0 0   length of the payload, big-endian   payload
///     u8             u32                                 at most 1 MiB
enum FrameType: UInt8 {
    // To the supervisor.
    case stdin = 0x00
    /// u8: 1 stdout, 2 stderr, 4 stdin, 8 the loss of this connection counts for `--stdin-once`. Answer: `attached`.
    case attach = 0x10
    case stdinEnd = 0x11
    /// u16 rows, u16 columns.
    case resize = 0x12
    case start = 0x13
    /// u32 number. Answer: `done`.
    case signal = 0x14
    case subscribe = 0x15

    // From the supervisor.
    case stdout = 0x01
    case stderr = 0x02
    /// u32 pid.
    case created = 0x20
    case started = 0x21
    /// u32 exit code, text.
    case failed = 0x22
    /// The content of exit.json.
    case exited = 0x23
    case attached = 0x24
    /// Nothing when it went well, else text.
    case done = 0x25
}

struct Frame {
    var type: FrameType
    var payload: [UInt8]

    static let longestPayload = 1 << 20
    static let headerLength = 8

    static func header(_ type: FrameType, length: Int) -> [UInt8] {
        [type.rawValue, 0, 0, 0] + bigEndian(UInt32(truncatingIfNeeded: length))
    }

    static func bigEndian(_ number: UInt32) -> [UInt8] {
        [UInt8(number >> 24), UInt8(number >> 16 & 0xFF), UInt8(number >> 8 & 0xFF), UInt8(number & 0xFF)]
    }

    /// The payload as big-endian numbers of so many bytes; nil when it has another length.
    func numbers(_ widths: Int...) -> [UInt32]? {
        guard payload.count == widths.reduce(0, +) else { return nil }
        var rest = payload[...]
        return widths.map { width in
            defer { rest = rest.dropFirst(width) }
            return rest.prefix(width).reduce(0) { $0 << 8 | UInt32($1) }
        }
    }
}

/// A client said something that is no frame; its connection is closed.
struct ProtocolError: Error {}

/// Puts frames together from what a connection brings.
struct FrameReader {
    private var bytes: [UInt8] = []

    var isEmpty: Bool { bytes.isEmpty }

    mutating func append(_ new: UnsafeRawBufferPointer) {
        bytes.append(contentsOf: new)
    }

    /// The next whole frame, nil when more bytes are needed.
    mutating func next() throws(ProtocolError) -> Frame? {
        guard bytes.count >= Frame.headerLength else { return nil }
        let length = bytes[4..<8].reduce(0) { $0 << 8 | Int($1) }
        guard let type = FrameType(rawValue: bytes[0]), length <= Frame.longestPayload else { throw ProtocolError() }
        let end = Frame.headerLength + length
        guard bytes.count >= end else { return nil }
        let frame = Frame(type: type, payload: Array(bytes[Frame.headerLength..<end]))
        if bytes.count == end { bytes = [] } else { bytes.removeFirst(end) }
        return frame
    }
}

/// Bytes that wait until somebody takes them.
struct ByteQueue {
    private var bytes: [UInt8] = []
    private var start = 0

    var count: Int { bytes.count - start }
    var isEmpty: Bool { count == 0 }

    mutating func append(_ new: some Sequence<UInt8>) {
        bytes.append(contentsOf: new)
    }

    /// Forgets what waits, up to the first such byte and with it.
    mutating func drop(through byte: UInt8) {
        start = bytes[start...].firstIndex(of: byte).map { $0 + 1 } ?? bytes.count
        if isEmpty { self = ByteQueue() }
    }

    /// Hands out what waits until `take` takes nothing; it says how much it took.
    mutating func drain<E: Error>(_ take: (UnsafeRawBufferPointer) throws(E) -> Int) throws(E) {
        while !isEmpty {
            let result: Result<Int, E> = bytes.withUnsafeBytes { all in
                do throws(E) {
                    return .success(try take(UnsafeRawBufferPointer(rebasing: all[start...])))
                } catch {
                    return .failure(error)
                }
            }
            let taken = try result.get()
            start += taken
            if taken == 0 { break }
        }
        // The memory goes back as soon as nothing waits: an idle supervisor stays small.
        if isEmpty {
            self = ByteQueue()
        } else if start > 1 << 18 {
            bytes.removeFirst(start)
            start = 0
        }
    }
}
