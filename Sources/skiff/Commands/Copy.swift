import Archive
import Blocking
import DockerAPI
import EngineClient
import FoundationEssentials
import Linux
import NIOCore
import SystemPackage

extension Command {
    static func copy() -> Command {
        let archive = Flag<Bool>.toggle("archive", short: "a", "Keep the owners of the files")
        let followLink = Flag<Bool>.toggle("follow-link", short: "L", "Copy what a link given as source points to")
        let quiet = Flag<Bool>.toggle("quiet", short: "q", "Do not tell how much was copied")
        return Command(
            name: "cp", usage: "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tskiff cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
            summary: "Copy files between a container and the client", arguments: .exactly(2),
            flags: [archive, followLink, quiet]
        ) { call in
            let (source, target) = (CopyPlace(call.arguments[0]), CopyPlace(call.arguments[1]))
            let isQuiet = call.flags.isGiven(quiet) ? call[quiet] : !StandardStream.output.isTerminal
            switch (source, target) {
            case (.container, .container): throw CommandFailure("copying between containers is not supported")
            case (.container(let name, let path), let target):
                try await CopyOut(
                    program: call.program, container: name, keepsOwners: call[archive], follows: call[followLink],
                    isQuiet: isQuiet
                ).run(path, to: target)
            case (let source, .container(let name, let path)):
                try await CopyIn(
                    program: call.program, container: name, keepsOwners: call[archive], follows: call[followLink],
                    isQuiet: isQuiet
                ).run(source, to: path)
            default: throw CommandFailure("must specify at least one container source")
            }
            return 0
        }
    }
}

/// Files in a container.
struct ContainerFiles: Sendable {
    let engine: EngineClient
    let container: String

    func request(_ method: EngineRequest.Method, _ path: String, _ more: [(String, String)] = []) -> EngineRequest {
        EngineRequest(method, "/containers/\(EngineRequest.escaped(container))/archive", query: [("path", path)] + more)
    }

    /// Nil when nothing is there.
    func stat(_ path: String) async throws -> ContainerPathStat? {
        do {
            return try await engine.open(request(.head, path)) { try Self.stat($0) }
        } catch let error as EngineClientError where error.status == 404 {
            // HEAD has no body that tells whether it is the file or the container that is missing.
            _ = try await ContainerLookup(engine).inspect(container)
            return nil
        }
    }

    static func stat(_ response: EngineResponse) throws -> ContainerPathStat {
        guard let header = response.header("X-Docker-Container-Path-Stat"), let json = Data(base64Encoded: header) else {
            throw CommandFailure("unable to decode container path stat header")
        }
        return try JSONDecoder().decode(ContainerPathStat.self, from: json)
    }
}

extension ContainerPathStat {
    /// The bits of Go's `FileMode`.
    var isDirectory: Bool { (mode ?? 0) & (1 << 31) != 0 }
    var isLink: Bool { (mode ?? 0) & (1 << 27) != 0 }
}

private struct CopyOut: Sendable {
    let program: Program
    let container: String
    let keepsOwners: Bool
    let follows: Bool
    let isQuiet: Bool

    private var files: ContainerFiles { ContainerFiles(engine: program.engine, container: container) }

    func run(_ path: String, to target: CopyPlace) async throws {
        var source = path
        if follows, let stat = try await files.stat(path), stat.isLink, let link = stat.linkTarget, !link.isEmpty {
            source = link.hasPrefix("/") ? link : CopyPath(path).parent + "/" + link
        }
        guard case .local(let local) = target else {
            return try await program.engine.open(files.request(.get, source)) { response in
                while let bytes = try await response.next() { try await ContainerStreams.write(bytes, .output) }
            }
        }
        let size = try await program.engine.open(files.request(.get, source)) { response in
            try await unpack(response, CopyPath(source), to: local)
        }
        if !isQuiet { try program.warn("Successfully copied \(HumanText.size(size, digits: 3)) to \(local)") }
    }

    private func unpack(_ response: EngineResponse, _ source: CopyPath, to local: String) async throws -> Int64 {
        let stat = try ContainerFiles.stat(response)
        let full = local.hasPrefix("/") ? local : program.workingDirectory + "/" + local
        let target = try CopyTarget(
            source: source, sourceIsDirectory: stat.isDirectory, target: CopyPath(full), existing: Self.existing(full))
        guard Self.existing(target.directory) == .directory else {
            throw CommandFailure("invalid output path: directory \"\(target.directory)\" does not exist")
        }
        let options = ExtractionOptions(
            ownership: keepsOwners ? .fromArchive : .fixed(uid: CurrentProcess.effectiveUserID, gid: CurrentProcess.effectiveGroupID))
        let (archive, renamed) = (try PipeEnds(), try PipeEnds())
        async let renaming: Void = Self.rename(archive, renamed, target.name.map { Array($0.utf8) })
        async let extracting: Void = Self.extract(renamed, FilePath(target.directory), options)
        let fed: Result<Int64, any Error>
        do { fed = .success(try await Self.feed(response, archive)) } catch { fed = .failure(error) }
        // The last one in the row first: when it fails, those before it only see a broken pipe.
        try await extracting
        try await renaming
        return try fed.get()
    }

    static func existing(_ path: String) -> CopyTarget.Existing {
        var isDirectory = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else { return .nothing }
        return isDirectory ? .directory : .file
    }

    private static func feed(_ response: EngineResponse, _ archive: PipeEnds) async throws -> Int64 {
        let end = try archive.takeWriting()
        var size: Int64 = 0
        while let bytes = try await response.next() {
            size += Int64(bytes.readableBytes)
            let bytes = Array(bytes.readableBytesView)
            try await blocking { try bytes.withUnsafeBytes { try end.writeAll($0) } }
        }
        return size
    }

    private static func rename(_ archive: PipeEnds, _ renamed: PipeEnds, _ name: [UInt8]?) async throws {
        let (source, target) = (try archive.takeReading(), try renamed.takeWriting())
        try await blocking { try TarRenaming.copy(FileSource(source), to: FileSink(target), firstName: name) }
    }

    private static func extract(_ renamed: PipeEnds, _ directory: FilePath, _ options: ExtractionOptions) async throws {
        let source = try renamed.takeReading()
        try await blocking {
            let extraction = try Extraction(into: try OwnedFD.open(directory, [.readOnly, .directory]), options: options)
            try extraction.run(TarReader(FileSource(source)))
        }
    }
}

private struct CopyIn: Sendable {
    let program: Program
    let container: String
    let keepsOwners: Bool
    let follows: Bool
    let isQuiet: Bool

    private var files: ContainerFiles { ContainerFiles(engine: program.engine, container: container) }

    func run(_ source: CopyPlace, to path: String) async throws {
        let existing = try await resolved(path)
        guard case .local(let local) = source else {
            guard existing.kind == .directory else { throw CommandFailure("destination \"\(container):\(path)\" must be a directory") }
            let upload = try Upload.opening("")
            return try await put(existing.path, upload.next)
        }
        let full = local.hasPrefix("/") ? local : program.workingDirectory + "/" + local
        let sourcePath = CopyPath(full)
        let isDirectory = try Self.isDirectory(sourcePath, follows: follows)
        let target = try CopyTarget(
            source: CopyPath(local).meansContents ? CopyPath(full + (full.hasSuffix("/.") ? "" : "/.")) : sourcePath,
            sourceIsDirectory: isDirectory, target: CopyPath(existing.path + (path.hasSuffix("/") ? "/" : "")),
            existing: existing.kind)
        let real = follows ? try Self.realPath(sourcePath) : sourcePath
        let counter = ByteCounter()
        let producer = try TarProducer { writer in
            let tree = TreeArchive(writer)
            guard let name = target.name else {
                return try tree.addContents(of: try OwnedFD.open(FilePath(real.path), [.readOnly, .directory]))
            }
            let parent = try OwnedFD.open(FilePath(real.parent), [.readOnly, .directory])
            try tree.add(try FileName(real.lastName), in: parent, as: Array(name.utf8))
        }
        try await put(target.directory) { await counter.count(try await producer.next()) }
        if !isQuiet {
            try program.warn("Successfully copied \(HumanText.size(await counter.bytes, digits: 3)) to \(container):\(path)")
        }
    }

    private func put(_ directory: String, _ next: @escaping @Sendable () async throws -> ByteBuffer?) async throws {
        var query = [("noOverwriteDirNonDir", "true")]
        if keepsOwners { query.append(("copyUIDGID", "true")) }
        var request = files.request(.put, directory, query)
        request.body = .stream(type: "application/x-tar", next: next)
        try await program.engine.send(request)
    }

    /// What is at the target; a link there is followed once, as the engine tells where it leads inside the container.
    private func resolved(_ path: String) async throws -> (path: String, kind: CopyTarget.Existing) {
        let path = path.isEmpty ? "/" : path
        guard let stat = try await files.stat(path) else { return (path, .nothing) }
        guard stat.isLink, let link = stat.linkTarget, !link.isEmpty else {
            return (path, stat.isDirectory ? .directory : .file)
        }
        let real = link.hasPrefix("/") ? link : CopyPath(path).parent + "/" + link
        guard let behind = try await files.stat(real) else { return (real, .nothing) }
        return (real, behind.isDirectory ? .directory : .file)
    }

    private static func isDirectory(_ source: CopyPath, follows: Bool) throws -> Bool {
        let place = follows || source.meansDirectory ? source.path + "/." : source.path
        if let info = try? lstatIfExists(FilePath(place)) { return info.kind == .directory }  // No directory: looked at below.
        guard try lstatIfExists(FilePath(source.path)) != nil else {
            throw CommandFailure("lstat \(source.path): no such file or directory")
        }
        return false
    }

    private static func realPath(_ source: CopyPath) throws -> CopyPath {
        CopyPath(FileManager.default.destination(of: source.path))
    }
}

extension FileManager {
    /// The path with a symbolic link at its end followed.
    fileprivate func destination(of path: String) -> String {
        // A path that is no link has no destination and stays as it is.
        guard let target = try? destinationOfSymbolicLink(atPath: path) else { return path }
        return target.hasPrefix("/") ? target : CopyPath(path).parent + "/" + target
    }
}

private actor ByteCounter {
    private(set) var bytes: Int64 = 0

    func count(_ buffer: ByteBuffer?) -> ByteBuffer? {
        bytes += Int64(buffer?.readableBytes ?? 0)
        return buffer
    }
}
