import Linux
import OCI
import SystemPackage

/// Sends the lines of a container to systemd's journal, each as one datagram of its native protocol:
///
///     MESSAGE=text
///     PRIORITY=6
///     CONTAINER_ID=…
///
/// A value with a line break has its length, 64 bits little-endian, between its name and itself.
final class JournalWriter {
    private let path: FilePath
    private var socket: UnixDatagrams?
    /// What every entry tells of the container.
    private let fields: [UInt8]
    private let report: (SystemError) -> Void
    private var hasReported = false

    /// The journal has half a second for a line when it is behind. Then the line is lost, and no later one waits until one
    /// was taken again: the container goes on.
    private var patience: Int32
    private let mostPatience: Int32

    /// Without `waits` there is no half second: what the journal does not take at once is lost.
    ///
    /// `fields` is a JSON object of texts.
    init(_ path: FilePath, fields: String, waits: Bool = true, report: @escaping (SystemError) -> Void) throws(SystemError) {
        self.path = path
        self.report = report
        mostPatience = waits ? 500 : 0
        patience = mostPatience
        var bytes: [UInt8] = []
        if case .object(let members)? = try? JSONValue.parse(Array(fields.utf8)) {  // The engine's own text.
            for (name, value) in members { Self.append(name, Array((value.string ?? "").utf8), to: &bytes) }
        }
        self.fields = bytes
        socket = try UnixDatagrams(to: path)
    }

    /// `isCut`: the line goes on in the next entry.
    func write(_ text: [UInt8], _ stream: LogWriter.Stream, isCut: Bool) {
        var entry: [UInt8] = []
        Self.append("MESSAGE", text, to: &entry)
        Self.append("PRIORITY", Array((stream == .stdout ? "6" : "3").utf8), to: &entry)
        if isCut { Self.append("CONTAINER_PARTIAL_MESSAGE", Array("true".utf8), to: &entry) }
        entry += fields
        do {
            try send(entry)
            patience = mostPatience
        } catch {
            patience = 0
            if !hasReported { report(error) }
            hasReported = true
        }
    }

    private func send(_ entry: [UInt8]) throws(SystemError) {
        do {
            if socket == nil { socket = try UnixDatagrams(to: path) }
            try socket?.send(entry, milliseconds: patience)
        } catch {
            // The journal was started anew: its socket is another one.
            guard error.errno == .connectionRefused || error.errno == .socketNotConnected else { throw error }
            socket = nil
            let fresh = try UnixDatagrams(to: path)
            try fresh.send(entry, milliseconds: patience)
            socket = consume fresh
        }
    }

    private static func append(_ name: String, _ value: [UInt8], to entry: inout [UInt8]) {
        entry += Array(name.utf8)
        if value.contains(UInt8(ascii: "\n")) {
            entry.append(UInt8(ascii: "\n"))
            withUnsafeBytes(of: UInt64(value.count).littleEndian) { entry.append(contentsOf: $0) }
        } else {
            entry.append(UInt8(ascii: "="))
        }
        entry += value
        entry.append(UInt8(ascii: "\n"))
    }
}
