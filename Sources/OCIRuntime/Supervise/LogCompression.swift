import CZlib
import Linux
import SystemPackage

/// Packs the older files of a log with gzip, in a process beside the one that writes, which goes on meanwhile:
///
///     NAME.1 ──▶ NAME.gz.part ──▶ NAME.1.gz, and NAME.1 is removed
///
/// The process renames and removes by number, so whoever renumbers the files ends it first. What it has not come to stays as
/// it is until the next file is full: a log is as large as it may be at most.
///
/// A packed file says what it was made of, so that a reader that has the other does not read the same again. gzip's header
/// (RFC 1952, 2.3.1.1) has room for that; numbers are little-endian:
///
///     1f 8b 08 04  4 × 00  00 03 │ 24 00 │ "Sk" 20 00 │ inode  size  seconds  nanoseconds    of the last change, 8 bytes each
final class LogCompression {
    /// The word after the program's name.
    static let command = "pack-log"

    private let path: FilePath
    private let files: Int
    private var worker: HeldFD?

    /// Of `files` files, the one that is written to included.
    init(_ path: FilePath, files: Int) {
        self.path = path
        self.files = files
    }

    /// Whether the process is at work.
    var isUnderWay: Bool {
        guard let worker else { return false }
        // When it cannot be asked it cannot be waited for either.
        if (try? pollReadable(worker.fd.raw, milliseconds: 0)) != false { self.worker = nil }
        return self.worker != nil
    }

    func begin() throws(SystemError) {
        let null = try OwnedFD.open("/dev/null", .readWrite)
        let pid = try spawn(
            "/proc/self/exe", named: "skiff-runtime", arguments: [Self.command, path.string, "\(files)"], environment: [],
            descriptors: [null.raw, null.raw, 2])
        worker = HeldFD(try openProcess(pid))
    }

    /// Ends the process. False when it hangs in the kernel; then the files have to keep their names.
    func stop() throws(SystemError) -> Bool {
        guard isUnderWay, let worker else { return true }
        try sendSignal(.kill, to: worker.fd)
        guard try pollReadable(worker.fd.raw, milliseconds: 200) else { return false }
        self.worker = nil
        return true
    }

    /// The process: packs what is not packed yet, the newest first.
    static func main(_ arguments: [String]) -> Never {
        do {
            // Whoever comes after a writer that is gone renumbers the files.
            try Identity.dieWithParent()
            guard arguments.count == 2, let files = Int(arguments[1]) else { throw SuperviseOptions.UsageError(description: command) }
            for number in 1..<max(1, files) { try pack(FilePath("\(arguments[0]).\(number)"), by: FilePath("\(arguments[0]).gz.part")) }
            CurrentProcess.exit(0)
        } catch {
            Supervisor.report("log is not packed: \(error)")
            CurrentProcess.exit(1)
        }
    }

    private static func pack(_ path: FilePath, by part: FilePath) throws {
        guard try lstatIfExists(path) != nil else { return }
        let source = try OwnedFD.open(path, .readOnly)
        let target = try OwnedFD.open(part, [.writeOnly, .create, .truncate], mode: 0o640)
        let packer = try Packer(extra: origin(fstat(source)))
        var offset: Int64 = 0
        while true {
            let piece = try source.read(at: offset, count: 256 << 10)
            offset += Int64(piece.count)
            try packer.pack(piece, isLast: piece.isEmpty) { (bytes) throws(SystemError) in try target.writeAll(bytes) }
            if piece.isEmpty { break }
        }
        // A power cut must not leave half a file in place of a whole one.
        try target.sync()
        try rename(part, to: FilePath("\(path).gz"))
        try unlink(path)
    }

    /// What the header says of the file that is packed. The inode alone is not enough: its number is soon used again.
    private static func origin(_ source: FileMetadata) -> [UInt8] {
        var bytes: [UInt8] = [UInt8(ascii: "S"), UInt8(ascii: "k"), 32, 0]
        for number in [Int64(bitPattern: source.inode), source.size, source.modified.seconds, source.modified.nanoseconds] {
            for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: number >> (8 * Int64(shift)))) }
        }
        return bytes
    }
}

/// gzip's format, of zlib.
private final class Packer {
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    /// zlib reads these when it writes the first bytes.
    private let header = UnsafeMutablePointer<gz_header>.allocate(capacity: 1)
    private let extra: UnsafeMutableBufferPointer<UInt8>
    private var output = [UInt8](repeating: 0, count: 64 << 10)

    struct Failure: Error {}

    init(extra bytes: [UInt8]) throws(Failure) {
        extra = .allocate(capacity: bytes.count)
        _ = extra.initialize(from: bytes)
        stream.initialize(to: z_stream())
        header.initialize(to: gz_header())
        header.pointee.os = 3  // Unix.
        header.pointee.extra = extra.baseAddress
        header.pointee.extra_len = UInt32(bytes.count)
        // Fast rather than small: JSON lines shrink to a tenth either way.
        guard
            deflateInit2_(
                stream, 3, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
        else { throw Failure() }
        guard deflateSetHeader(stream, header) == Z_OK else { throw Failure() }
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
        header.deallocate()
        extra.deallocate()
    }

    func pack(_ piece: [UInt8], isLast: Bool, write: ([UInt8]) throws(SystemError) -> Void) throws {
        var piece = piece
        try piece.withUnsafeMutableBufferPointer { input in
            stream.pointee.next_in = input.baseAddress
            stream.pointee.avail_in = UInt32(input.count)
            var room: UInt32 = 0
            repeat {
                let count = try output.withUnsafeMutableBufferPointer { buffer in
                    stream.pointee.next_out = buffer.baseAddress
                    stream.pointee.avail_out = UInt32(buffer.count)
                    guard deflate(stream, isLast ? Z_FINISH : Z_NO_FLUSH) != Z_STREAM_ERROR else { throw Failure() }
                    return buffer.count - Int(stream.pointee.avail_out)
                }
                room = stream.pointee.avail_out
                try write(Array(output[..<count]))
            } while room == 0
        }
    }
}
