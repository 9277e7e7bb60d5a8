import Linux
import SystemPackage

/// Writes the output of a container as Docker's json-file log does: one JSON object a line, each with at most 16 KiB of
/// text. Text without a line break at its end is continued by the next object of its stream.
///
///     {"log":"text\n","stream":"stdout","time":"2026-01-02T03:04:05.123456789Z"}
///     {"log":"text\n","stream":"stdout","attrs":{"label":"value"},"time":"…"}
final class LogWriter {
    enum Stream: Int {
        case stdout = 0
        case stderr = 1

        fileprivate var suffix: StaticString {
            switch self {
            case .stdout: "\",\"stream\":\"stdout\""
            case .stderr: "\",\"stream\":\"stderr\""
            }
        }
    }

    /// Docker's; longer lines are cut.
    static let longestText = 16 << 10

    let destination: any LogDestination
    private var clock = LogClock()
    /// The beginning of an unfinished line, of each stream.
    private var unfinished: [[UInt8]] = [[], []]
    /// The time of the first part of a line that was cut, which counts for its other parts too.
    private var partTime: [[UInt8]?] = [nil, nil]
    private var buffer: [UInt8] = []
    private let largestWrite: Int
    /// What stands in every entry between stream and time.
    private let attributes: [UInt8]
    /// Gets every line too.
    private let journal: JournalWriter?
    private let report: (SystemError) -> Void

    /// Appends to a file. `report` is called at the first write that fails; later ones are lost silently, and the
    /// container goes on.
    ///
    /// `attributes` is a JSON object that becomes part of every entry, or nothing.
    init(
        _ destination: any LogDestination, _ limits: LogFile.Limits?, attributes: String? = nil, journal: JournalWriter? = nil,
        hasReported: Bool = false, report: @escaping (SystemError) -> Void
    ) {
        self.destination = destination
        self.hasReported = hasReported
        // Small files are filled in small steps, so that none gets much larger than it may.
        largestWrite = min(1 << 16, Int(clamping: (limits?.bytes ?? .max) / 16))
        self.attributes = Array((attributes.map { ",\"attrs\":\($0)" } ?? "").utf8)
        self.journal = journal
        self.report = report
    }

    private(set) var hasReported: Bool

    /// Nothing waits for the rest of its line.
    var isIdle: Bool { unfinished.allSatisfy(\.isEmpty) && !partTime.contains { $0 != nil } && destination.isIdle }

    func write(_ bytes: UnsafeRawBufferPointer, _ stream: Stream) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let room = Self.longestText - unfinished[stream.rawValue].count
            let piece = rest.prefix(room)
            if let lineBreak = piece.firstIndex(of: UInt8(ascii: "\n")) {
                entry(rest[rest.startIndex...lineBreak], stream, isWhole: true)
                rest = rest[(lineBreak + 1)...]
            } else if piece.count == room {
                entry(piece, stream, isWhole: false)
                rest = rest.dropFirst(room)
            } else {
                unfinished[stream.rawValue].append(contentsOf: piece)
                break
            }
        }
        flush()
    }

    /// Writes the last lines, which had no line break.
    func finish() {
        for stream in [Stream.stdout, .stderr] where !unfinished[stream.rawValue].isEmpty {
            entry(UnsafeRawBufferPointer(start: nil, count: 0)[...], stream, isWhole: true)
        }
        flush()
        attempt { () throws(SystemError) in try destination.finish() }
    }

    /// The destination has room again.
    func goOn() {
        attempt { () throws(SystemError) in try destination.flush() }
    }

    private func attempt(_ body: () throws(SystemError) -> Void) {
        do {
            try body()
        } catch {
            if !hasReported { report(error) }
            hasReported = true
        }
    }

    private func entry(_ text: Slice<UnsafeRawBufferPointer>, _ stream: Stream, isWhole: Bool) {
        let index = stream.rawValue
        let time = partTime[index] ?? clock.now()
        partTime[index] = isWhole ? nil : time
        if let journal {
            let line = unfinished[index] + Array(isWhole && text.last == UInt8(ascii: "\n") ? text.dropLast() : text)
            journal.write(line, stream, isCut: !isWhole)
        }
        append("{\"log\":\"")
        if unfinished[index].isEmpty {
            JSONText.append(UnsafeRawBufferPointer(rebasing: text), to: &buffer)
        } else {
            unfinished[index].append(contentsOf: text)
            unfinished[index].withUnsafeBytes { JSONText.append($0, to: &buffer) }
            unfinished[index] = []
        }
        append(stream.suffix)
        buffer.append(contentsOf: attributes)
        append(",\"time\":\"")
        buffer.append(contentsOf: time)
        append("\"}\n")
        if buffer.count > largestWrite { flush() }
    }

    private func append(_ text: StaticString) {
        text.withUTF8Buffer { buffer.append(contentsOf: $0) }
    }

    private func flush() {
        if buffer.isEmpty { return }
        attempt { () throws(SystemError) in try destination.write(buffer) }
        // Enough to be used again for usual lines; the memory of a burst goes back.
        buffer.removeAll(keepingCapacity: buffer.capacity <= 8192)
    }
}

/// The wall clock in the form of the log. Works out the date once a second.
private struct LogClock {
    private var second: Int64 = .min
    private var prefix: [UInt8] = []

    /// RFC 3339 with as many digits as it takes, as Go's `RFC3339Nano`.
    mutating func now() -> [UInt8] {
        let now = Timestamp.now()
        if now.seconds != second {
            second = now.seconds
            prefix = Array(Timestamp(seconds: now.seconds).description.utf8.dropLast())
        }
        var text = prefix
        var rest = now.nanoseconds
        if rest > 0 {
            text.append(UInt8(ascii: "."))
            var unit: Int64 = 100_000_000
            while rest > 0 {
                text.append(UInt8(ascii: "0") + UInt8(rest / unit))
                rest %= unit
                unit /= 10
            }
        }
        text.append(UInt8(ascii: "Z"))
        return text
    }
}
