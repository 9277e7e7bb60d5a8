import Linux
import SystemPackage

/// The standard streams of a container's first process, as CRIU names what is not the container's own. Pipes, and files of
/// the host, become those that the caller of `restore` has.
enum StandardStreams {
    /// For each stream: `pipe:[INODE]`, `file[MOUNT:INODE]` of a file outside of the container, or just its path.
    static func names(of pid: Int32) throws -> [String] {
        let mounts = try mountNumbers(pid)
        let directory = try OwnedFD.open(FilePath("/proc/\(pid)/fd"), [.path, .directory])
        return try (0..<3).map { number in
            // A process may have closed them.
            guard let link = try? readlinkat(directory, FileName("\(number)")) else { return "" }
            let name = String(decoding: link, as: UTF8.self)
            return try externalFile(name, number, directory, pid, mounts) ?? name
        }
    }

    private static func externalFile(
        _ name: String, _ number: Int, _ directory: borrowing OwnedFD, _ pid: Int32, _ mounts: [Int]
    ) throws -> String? {
        guard name.hasPrefix("/") else { return nil }
        let facts = try OwnedFD.open(FilePath("/proc/\(pid)/fdinfo/\(number)"), .readOnly).readAll(limit: 4096)
        guard let mount = ProcessFile.value("mnt_id", in: facts).flatMap({ Int($0) }), !mounts.contains(mount) else { return nil }
        let status = try fstat(try OwnedFD.open("\(number)", in: directory, .path))
        // Terminals have rules of their own in CRIU.
        let isTerminal = status.kind == .characterDevice && (status.deviceMajor == 4 || status.deviceMajor == 5 || 136...143 ~= status.deviceMajor)
        guard !isTerminal, status.kind == .regular || status.kind == .characterDevice else { return nil }
        return "file[\(String(mount, radix: 16)):\(String(status.inode, radix: 16))]"
    }

    private static func mountNumbers(_ pid: Int32) throws -> [Int] {
        try OwnedFD.open(FilePath("/proc/\(pid)/mountinfo"), .readOnly).readAll(limit: 16 << 20)
            .split(separator: 0x0A).compactMap { Int(String(decoding: $0.prefix { $0 != 0x20 }, as: UTF8.self)) }
    }

    /// Of a dump: files of the host are told.
    static func putExternals(_ names: [String], _ options: inout ProtobufMessage) {
        for name in unique(names) where name.hasPrefix("file[") { options.put(37, name) }
    }

    /// Of a restore: each name with the descriptor of ours that takes its place, `first` for the standard input.
    static func putInherited(_ names: [String], first: Int, _ options: inout ProtobufMessage) {
        for name in unique(names) where name.hasPrefix("pipe:[") || name.hasPrefix("file[") {
            guard let stream = names.firstIndex(of: name) else { continue }
            options.putInherited(name, first + stream)
        }
    }

    private static func unique(_ names: [String]) -> [String] {
        names.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }
}

extension ProtobufMessage {
    /// A descriptor of CRIU's that takes the place of something outside of the images.
    mutating func putInherited(_ key: String, _ descriptor: Int) {
        var inherited = ProtobufMessage()
        inherited.put(1, key)
        inherited.put(2, descriptor)
        put(27, inherited)
    }
}
