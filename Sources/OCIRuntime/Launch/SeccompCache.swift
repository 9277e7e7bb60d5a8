import Linux
import OCI
import SystemPackage

/// Filters that were made at earlier starts, by the text of their profiles, so that the usual profile is neither read nor
/// compiled again. A file holds the text as well: only the very same bytes find a filter.
///
/// Whatever is not as it should be, the file, its owner or its content, is the same as no file. Filters with a listener
/// are not kept. They belong to the program file that made them, so that another version makes its own.
///
///     "skiffbpf"                    8 bytes
///     a sum of all that follows     u64, all numbers little endian
///     the program file              device, inode, size, seconds and nanoseconds of its last change, u64 each
///     flags                         u64
///     number of instructions        u64
///     instructions                  u64 each
///     the text of the profile       to the end of the file
struct SeccompCache: Sendable {
    /// Made when the first filter is kept.
    let directory: FilePath

    private static let magic = Array("skiffbpf".utf8)
    /// Profiles of one's own may be many, but hardly so many at a time.
    private static let maximumCount = 64
    private static let maximumBytes = 1 << 20

    /// nil for whom the program file is another one at each start.
    init?(_ directory: FilePath) {
        guard CurrentProcess.effectiveUserID == 0 else { return nil }
        self.directory = directory
    }

    /// Reads a configuration, without its profile where `directory` has its filter.
    static func read(_ bytes: [UInt8], filters directory: FilePath?) throws -> (spec: RuntimeSpec, filter: KnownFilter?) {
        guard let directory, let cache = SeccompCache(directory) else { return (try RuntimeSpec(bytes: bytes), nil) }
        return try cache.read(bytes)
    }

    func read(_ bytes: [UInt8]) throws -> (spec: RuntimeSpec, filter: KnownFilter?) {
        guard let extent = JSONValue.extent(of: ["linux", "seccomp"], in: bytes) else {
            return (try RuntimeSpec(bytes: bytes), nil)
        }
        let text = bytes[extent]
        guard let filter = find(text) else { return (try RuntimeSpec(bytes: bytes), .new(self, text: Array(text))) }
        let rest = Array(bytes[..<extent.lowerBound]) + Array("null".utf8) + bytes[extent.upperBound...]
        return (try RuntimeSpec(bytes: rest), .compiled(filter))
    }

    private func find(_ text: ArraySlice<UInt8>) -> SeccompFilter? {
        guard let program = try? Self.programFile(), let bytes = readFile(Self.name(text)) else { return nil }
        var reader = WordReader(bytes[...])
        guard reader.take(Self.magic), let sum = reader.word(), sum == Self.sum(reader.rest), reader.take(program),
            let flags = reader.word(), let count = reader.word(), count <= 4096
        else { return nil }
        guard let instructions = reader.words(Int(count)), areEqual(reader.rest, text) else { return nil }
        return SeccompFilter(
            program: SeccompProgram(instructions: instructions), flags: .init(rawValue: UInt32(truncatingIfNeeded: flags)))
    }

    /// Of a file that only this user can have written.
    private func readFile(_ name: String) -> [UInt8]? {
        guard let file = try? OwnedFD.open(directory.appending(name), [.readOnly, .noFollow, .nonBlocking]),
            let status = try? fstat(file), status.kind == .regular, status.uid == CurrentProcess.effectiveUserID,
            status.permissions & 0o022 == 0, status.size <= Self.maximumBytes
        else { return nil }
        return try? file.readAll(limit: Self.maximumBytes)
    }

    /// For the next start. When that fails, it compiles again.
    func keep(_ filter: SeccompFilter, for text: [UInt8]) {
        guard !filter.needsListener, text.count <= Self.maximumBytes / 2 else { return }
        do {
            try makeDirectories(directory)
            let opened = try OwnedFD.open(directory, [.readOnly, .directory])
            let names = try namesInDirectory(opened)
            if names.count >= Self.maximumCount {
                for name in names { try unlinkat(opened, name) }
            }
            var content = try Self.programFile()
            content += Self.bytes(UInt64(filter.flags.rawValue)) + Self.bytes(UInt64(filter.program.instructions.count))
            for instruction in filter.program.instructions { content += Self.bytes(instruction) }
            content += text
            try writeAtomically(
                Self.magic + Self.bytes(Self.sum(content[...])) + content, to: directory.appending(Self.name(text[...])), sync: false)
        } catch {
            // A cache that cannot be written costs time, nothing else.
        }
    }

    private static func programFile() throws -> [UInt8] {
        let status = try ProgramFile.status()
        let words = [
            status.device, status.inode, UInt64(bitPattern: status.size), UInt64(bitPattern: status.modified.seconds),
            UInt64(bitPattern: status.modified.nanoseconds),
        ]
        return words.flatMap(bytes)
    }

    private static func name(_ text: ArraySlice<UInt8>) -> String { hexadecimal(sum(text)) }

    /// After FNV-1a of 64 bits, eight bytes at a time. Against damage and for names; against malice there is the owner of the files.
    private static func sum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.withUnsafeBytes { bytes in
            var sum: UInt64 = 0xcbf2_9ce4_8422_2325
            func take(_ word: UInt64) {
                sum = (sum ^ word) &* 0x100_0000_01b3
                // The product carries upwards only.
                sum ^= sum >> 32
            }
            var place = 0
            while place + 8 <= bytes.count {
                take(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)))
                place += 8
            }
            while place < bytes.count {
                take(UInt64(bytes[place]))
                place += 1
            }
            return sum
        }
    }

    private static func bytes(_ word: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
}

/// Takes numbers from the front of bytes.
private struct WordReader {
    private(set) var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
        rest = bytes
    }

    mutating func take(_ expected: [UInt8]) -> Bool {
        guard rest.starts(with: expected) else { return false }
        rest = rest.dropFirst(expected.count)
        return true
    }

    mutating func word() -> UInt64? { words(1)?[0] }

    mutating func words(_ count: Int) -> [UInt64]? {
        guard rest.count >= 8 * count else { return nil }
        defer { rest = rest.dropFirst(8 * count) }
        return rest.withUnsafeBytes { bytes in
            (0..<count).map { UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8 * $0, as: UInt64.self)) }
        }
    }
}
