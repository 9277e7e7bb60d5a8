import BuildContext
import Linux

/// The owner that `--chown` gives to files.
struct Ownership: Sendable, Equatable {
    var uid: UInt32
    var gid: UInt32

    static let root = Ownership(uid: 0, gid: 0)

    /// Files longer than this are not looked at; an image must not be able to fill the memory.
    static let maxFileBytes = 4 << 20

    /// Resolves `user[:group]`; names are looked up in the root's own files, never in the host's.
    /// A number is always an id, also if somebody has it as a name.
    init(_ text: String, root: OpenDirectory) throws {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 2, !parts[0].isEmpty, parts.last != "" else {
            throw BuildError.failed("invalid chown string \(GoQuote.quoted(text))")
        }
        var gid: UInt32
        if let number = try Self.number(parts[0]) {
            (uid, gid) = (number, number)
        } else {
            let fields = try Self.find(parts[0], in: "/etc/passwd", root: root)
            guard let fields, fields.count > 3, let uid = UInt32(fields[2]), let group = UInt32(fields[3]) else {
                throw Self.missing("uid", "user", parts[0])
            }
            (self.uid, gid) = (uid, group)
        }
        if parts.count == 2 {
            if let number = try Self.number(parts[1]) {
                gid = number
            } else {
                let fields = try Self.find(parts[1], in: "/etc/group", root: root)
                guard let fields, fields.count > 2, let group = UInt32(fields[2]) else {
                    throw Self.missing("gid", "group", parts[1])
                }
                gid = group
            }
        }
        self.gid = gid
    }

    init(uid: UInt32, gid: UInt32) {
        self.uid = uid
        self.gid = gid
    }

    private static func missing(_ number: String, _ kind: String, _ name: String) -> BuildError {
        .failed(
            "unable to convert uid/gid chown string to host mapping: can't find \(number) for \(kind) \(name): "
                + "no such \(kind): \(name)")
    }

    /// - Returns: nil for a name.
    private static func number(_ text: String) throws(BuildError) -> UInt32? {
        guard text.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else { return nil }
        // The highest number means "leave it" to the kernel.
        guard let number = UInt32(text), number != .max else {
            throw .failed("uids and gids must be in range 0-\(UInt32.max - 1): \(text)")
        }
        return number
    }

    /// The colon-separated fields of a name's line.
    private static func find(_ name: String, in path: String, root: OpenDirectory) throws -> [String]? {
        guard let bytes = try root.read(path, limit: maxFileBytes) else { return nil }
        let start = Array(name.utf8) + [UInt8(ascii: ":")]
        let line = bytes.split(separator: UInt8(ascii: "\n")).first { $0.starts(with: start) }
        return line.map {
            String(decoding: $0, as: UTF8.self).split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        }
    }
}
