import Archive
import Blocking
import BuildContext
import FoundationEssentials
import Linux
import NIOCore
import SystemPackage

/// What a build gets from the client: an archive, and where the Dockerfile is in it.
struct BuildContext: Sendable {
    let dockerfile: String
    /// Present when an engine on this machine can read the folder itself.
    var folder: LocalFolder?
    let next: @Sendable () async throws -> ByteBuffer?

    /// A folder of the client, or `-` for standard input. `dockerfile` is the user's `-f`, empty without it.
    static func open(_ path: String, dockerfile: String, workingDirectory: String) throws -> BuildContext {
        if path == "-" {
            guard dockerfile != "-" else { throw CommandFailure("invalid argument: can't use stdin for both build context and dockerfile") }
            return try standardInput(dockerfile)
        }
        return try directory(try existing(path, workingDirectory), dockerfile, workingDirectory)
    }

    /// A named context: all files of a folder but those that its ignore file leaves out.
    static func folder(_ path: String, workingDirectory: String) throws -> @Sendable () async throws -> ByteBuffer? {
        let folder = try existing(path, workingDirectory)
        return try producer(folder, try patterns(folder, [".dockerignore"], alwaysSent: []), nil).next
    }

    // MARK: A folder

    private static func existing(_ path: String, _ workingDirectory: String) throws -> String {
        let folder = Paths.absolute(path, in: workingDirectory)
        guard let info = try lstatIfExists(FilePath(folder + "/.")), info.kind == .directory else {
            throw CommandFailure("unable to prepare context: path \"\(path)\" not found")
        }
        return folder
    }

    private static func directory(_ folder: String, _ dockerfile: String, _ workingDirectory: String) throws -> BuildContext {
        let place = try DockerfilePlace(folder, dockerfile, workingDirectory)
        let patterns = try ignorePatterns(folder, place)
        let local = place.content == nil ? try LocalFolder(folder) : nil
        let archive = DelayedArchive { try producer(folder, patterns, place) }
        return BuildContext(dockerfile: place.name, folder: local) { try await archive.next() }
    }

    private static func producer(_ folder: String, _ patterns: IgnorePatterns, _ place: DockerfilePlace?) throws -> TarProducer {
        try TarProducer { writer in
            let filter: @Sendable ([UInt8], Bool) throws -> TreeOptions.Decision = { path, isDirectory in
                let name = String(decoding: path, as: UTF8.self)
                guard patterns.excludes(name) else { return .include }
                return isDirectory && !patterns.canPrune(name) ? .skip : .skipTree
            }
            let tree = TreeArchive(writer, options: TreeOptions(owner: (0, 0), filter: filter))
            try tree.addContents(of: try OwnedFD.open(FilePath(folder), [.readOnly, .directory]))
            if let place, let content = place.content {
                let entry = TarEntry(path: Array(place.name.utf8), kind: .file, mode: 0o600)
                try writer.write(entry, content: content)
            }
        }
    }

    /// The rules of the ignore file; the Dockerfile and the ignore file themselves are always sent.
    private static func ignorePatterns(_ folder: String, _ place: DockerfilePlace) throws -> IgnorePatterns {
        try patterns(
            folder, IgnorePatterns.fileNames(dockerfile: place.content == nil ? place.name : nil), alwaysSent: [place.name])
    }

    private static func patterns(_ folder: String, _ files: [String], alwaysSent: [String]) throws -> IgnorePatterns {
        var lines: [String] = []
        for name in files {
            guard let content = FileManager.default.contents(atPath: "\(folder)/\(name)") else { continue }
            lines = IgnorePatterns.patterns(in: Array(content))
            lines += (alwaysSent + [name]).map { "!\($0)" }
            break
        }
        do {
            return try IgnorePatterns(lines: lines)
        } catch {
            throw CommandFailure("error checking context: \(error)")
        }
    }

    // MARK: Standard input

    /// Either an archive, or a Dockerfile that needs no files.
    private static func standardInput(_ dockerfile: String) throws -> BuildContext {
        let reader = try StoppableReader(StandardStream.input.rawValue)
        let start = FirstBytes(reader)
        return BuildContext(dockerfile: dockerfile.isEmpty ? "Dockerfile" : dockerfile) {
            try await start.next()
        }
    }
}

/// A folder as an engine on this machine knows it.
struct LocalFolder: Sendable {
    let path: String
    /// Its `FolderIdentity`.
    let identity: String

    /// Where nobody but this machine's kernel knows the files: ext4, xfs, btrfs, tmpfs, overlayfs, f2fs, zfs.
    private static let kinds = [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0xf2f5_2010, 0x2fc1_2fc1]

    /// - Returns: nil on other file systems, whose server may refuse what it allows us, and for an ordinary user, who need not be
    ///   able to read all that the engine can.
    init?(_ path: String) throws {
        guard CurrentProcess.effectiveUserID == 0 else { return nil }
        let folder = try OwnedFD.open(FilePath(path), [.readOnly, .directory])
        guard Self.kinds.contains(try FileSystemKind(of: folder).rawValue) else { return nil }
        self.path = path
        identity = try FolderIdentity.make(of: folder)
    }
}

/// An archive that begins to be made when somebody wants it.
private actor DelayedArchive {
    private let make: @Sendable () throws -> TarProducer
    private var producer: TarProducer?

    init(_ make: @escaping @Sendable () throws -> TarProducer) { self.make = make }

    func next() async throws -> ByteBuffer? {
        let producer = try self.producer ?? make()
        self.producer = producer
        return try await producer.next()
    }
}

/// Where the Dockerfile is: in the context, or outside, which adds its content to the archive under a name of its own.
struct DockerfilePlace: Sendable {
    let name: String
    /// Present when the file has to be added.
    let content: [UInt8]?

    init(_ folder: String, _ given: String, _ workingDirectory: String) throws {
        if given == "-" {
            content = try Self.standardInput()
            name = Self.ownName()
            return
        }
        let path = given.isEmpty ? Self.usual(folder) : Paths.absolute(given, in: workingDirectory)
        guard let bytes = FileManager.default.contents(atPath: path) else {
            throw CommandFailure(
                "unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat \(path): no such file or directory")
        }
        if let inside = FilePath(path).relative(to: FilePath(folder)) {
            name = inside
            content = nil
        } else {
            name = Self.ownName()
            content = Array(bytes)
        }
    }

    private static func usual(_ folder: String) -> String {
        let names = ["Dockerfile", "dockerfile"].map { FilePath(folder).appending($0).string }
        return names.first { FileManager.default.fileExists(atPath: $0) } ?? names[0]
    }

    private static func ownName() -> String { ".dockerfile.\(String(UInt64.random(in: 0 ... .max), radix: 16))" }

    private static func standardInput() throws -> [UInt8] {
        let input = try OwnedFD(adopting: StandardStream.input.rawValue).duplicate()
        return try input.readAll(limit: 4 << 20)
    }
}

extension FilePath {
    /// The path below `folder`, or nil when it is elsewhere.
    fileprivate func relative(to folder: FilePath) -> String? {
        var rest = self
        return rest.removePrefix(folder) && !rest.isEmpty ? rest.string : nil
    }
}

/// Looks at the beginning of standard input before it is sent: a Dockerfile is wrapped into an archive.
private actor FirstBytes {
    private let reader: StoppableReader
    private var isFirst = true
    private var isOver = false

    init(_ reader: StoppableReader) { self.reader = reader }

    func next() async throws -> ByteBuffer? {
        guard !isOver else { return nil }
        guard isFirst else { return try await reader.next(256 << 10).map { ByteBuffer(bytes: $0) } }
        isFirst = false
        var bytes: [UInt8] = []
        while bytes.count < 512, let more = try await reader.next() { bytes += more }
        guard !Self.isArchive(bytes) else { return ByteBuffer(bytes: bytes) }
        while let more = try await reader.next() {
            bytes += more
            guard bytes.count <= 4 << 20 else { throw CommandFailure("the Dockerfile on standard input is too large") }
        }
        isOver = true
        let sink = MemorySink()
        let writer = TarWriter(sink)
        try writer.write(TarEntry(path: Array("Dockerfile".utf8), kind: .file, mode: 0o600), content: bytes)
        try writer.finish()
        return ByteBuffer(bytes: sink.bytes)
    }

    private static func isArchive(_ bytes: [UInt8]) -> Bool {
        let signs: [[UInt8]] = [[0x1F, 0x8B], Array("BZh".utf8), [0xFD, 0x37, 0x7A, 0x58], [0x28, 0xB5, 0x2F, 0xFD]]
        return signs.contains { bytes.starts(with: $0) } || bytes.count >= 262 && bytes[257..<262].elementsEqual("ustar".utf8)
    }
}
