import Builder
import FoundationEssentials
import Glibc
import Images
import Linux
import OCI
import Store
import Synchronization
import SystemPackage
import Testing

/// A store, a context and a runner that only plays at running commands, all in a folder that is gone after the body.
final class BuildWorld: Sendable {
    let root: FilePath
    let images: ImageStore
    let database: Database
    let runner: PlayedRunner
    let cacheMounts: CacheMounts
    let web = PlayedWeb()

    var context: FilePath { root.appending("context") }
    var scratch: FilePath { root.appending("tmp") }

    static func with(_ body: (BuildWorld) async throws -> Void) async throws {
        let root = FilePath("/tmp/skiff-build-test-\(UInt64.random(in: .min ... .max))")
        try makeDirectories(root.appending("context"), mode: 0o755)
        do {
            try await body(try await BuildWorld(root))
        } catch {
            try removeTree(root)
            throw error
        }
        try removeTree(root)
    }

    private init(_ root: FilePath) async throws {
        self.root = root
        database = try await Database.open(root.appending("skiff.db"))
        images = try await ImageStore(root: root, database: database)
        runner = PlayedRunner(images: images)
        cacheMounts = CacheMounts(root: root.appending("cache-mounts"), records: database.cacheMounts)
    }

    /// Writes a file of the context.
    func write(_ path: String, _ text: String, mode: UInt32 = 0o644) throws {
        let path = context.appending(path)
        try makeDirectories(path.removingLastComponent(), mode: 0o755)
        try writeAtomically(Array(text.utf8), to: path, mode: mode, sync: false)
    }

    func link(_ path: String, to target: String) throws {
        let path = context.appending(path)
        let directory = try OwnedFD.open(path.removingLastComponent(), [.readOnly, .directory])
        try symlinkat(Array(target.utf8), directory, try FileName(path.lastComponent?.string ?? ""))
    }

    struct Result {
        var image: Image
        var log: String
    }

    /// Builds the Dockerfile, which is not part of the context.
    func build(_ dockerfile: String, _ change: (inout BuildRequest) throws -> Void = { _ in }) async throws -> Result {
        var request = BuildRequest(dockerfile: .bytes(Array(dockerfile.utf8)), context: .directory(context))
        try change(&request)
        let log = Log()
        let build = Build(
            images: images, cache: database.buildCache, cacheMounts: cacheMounts, remoteFiles: web, runner: runner, scratch: scratch)
        do {
            let image = try await build.run(request) { log.add($0) }
            return Result(image: image, log: log.text)
        } catch {
            throw Failed(error: error, log: log.text)
        }
    }

    struct Failed: Error, CustomStringConvertible {
        var error: any Error
        var log: String
        var description: String { "\(error)" }
    }

    /// What a failing build says.
    func failure(_ dockerfile: String, _ change: (inout BuildRequest) throws -> Void = { _ in }) async -> String {
        do {
            let result = try await build(dockerfile, change)
            return "no error: \(result.log)"
        } catch {
            return "\(error)"
        }
    }

    /// Looks at a file of an image: "kind mode uid:gid content"; nil when it is not there.
    func look(_ image: Image, _ path: String) throws -> String? {
        let mount = try images.layers.mount(layers: image.layers, upper: nil, work: nil)
        let parent = try PathInRoot.openParent(of: path, root: mount)
        let name = try FileName(parent.name)
        guard let metadata = try fstatatIfExists(parent.directory, name) else { return nil }
        var content = ""
        switch metadata.kind {
        case .regular:
            let file = try openat(parent.directory, name, .readOnly)
            content = String(decoding: try file.readAll(limit: 1 << 20), as: UTF8.self)
        case .symbolicLink: content = String(decoding: try readlinkat(parent.directory, name), as: UTF8.self)
        default: break
        }
        let mode = String(metadata.permissions, radix: 8)
        return "\(metadata.kind) \(mode) \(metadata.uid):\(metadata.gid)" + (content.isEmpty ? "" : " \(content)")
    }

    /// The names in a directory of an image.
    func list(_ image: Image, _ path: String) throws -> [String] {
        let mount = try images.layers.mount(layers: image.layers, upper: nil, work: nil)
        let directory = try PathInRoot.open(path, root: mount, flags: [.readOnly, .directory])
        return try namesInDirectory(directory).map(\.description).sorted()
    }

    /// The layers of the store.
    func layers() throws -> [String] {
        try namesInDirectory(try OwnedFD.open(root.appending("layers"), [.readOnly, .directory])).map(\.description)
            .filter { $0 != "empty" }.sorted()
    }

    /// What builds have left in the folder for temporary things.
    func leftovers() throws -> [String] {
        try namesInDirectory(try OwnedFD.open(scratch, [.readOnly, .directory])).map(\.description)
    }
}

/// What a build said.
final class Log: Sendable {
    private let lines = Mutex("")

    var text: String { lines.withLock { $0 } }

    func add(_ progress: BuildProgress) {
        if case .stream(let text) = progress { lines.withLock { $0 += text } }
    }
}

/// Plays `RUN`: understands `write PATH TEXT`, `mkdir PATH`, `say TEXT`, `env NAME`, `exit CODE` and `hang`, joined by ` && `.
final class PlayedRunner: StepRunner {
    private let images: ImageStore
    private let seen = Mutex<[RunStep]>([])
    /// Told when a step hangs.
    let hangs = AsyncStream<Void>.makeStream()

    init(images: ImageStore) {
        self.images = images
    }

    var steps: [RunStep] { seen.withLock { $0 } }

    func run(_ step: RunStep, output: @escaping @Sendable (BuildOutput) async -> Void) async throws -> Int32 {
        seen.withLock { $0.append(step) }
        let root = try images.layers.mount(layers: step.layers, upper: step.upper, work: step.work)
        for command in (step.args.last ?? "").split(separator: "&&") {
            let words = command.split(separator: " ").map(String.init)
            let rest = words.dropFirst(2).joined(separator: " ")
            switch words[0] {
            case "write":
                let parent = try PathInRoot.openParent(of: words[1], root: root)
                let file = try openat(
                    parent.directory, try FileName(parent.name), [.writeOnly, .create, .truncate], mode: 0o644)
                try file.writeAll(Array(rest.utf8))
            case "mkdir": try PathInRoot.makeDirectories(words[1], root: root)
            case "fifo":
                let parent = try PathInRoot.openParent(of: words[1], root: root)
                try mknodat(parent.directory, try FileName(parent.name), kind: .fifo, mode: 0o644)
            case "say":
                // In pieces of one byte, so that characters arrive torn.
                for byte in Array((words.dropFirst().joined(separator: " ") + "\n").utf8) {
                    await output(BuildOutput(stream: .stdout, bytes: [byte]))
                }
            case "env":
                let entry = step.env.last { $0.hasPrefix(words[1] + "=") } ?? "none"
                await output(BuildOutput(stream: .stderr, bytes: Array((entry + "\n").utf8)))
            case "look", "put":
                guard case .mount(let mount) = step.mounts[Int(words[1]) ?? 0].content else { break }
                let text = try words[0] == "look" ? Self.look(mount) : Self.put(mount, words[2], words[3])
                await output(BuildOutput(stream: .stdout, bytes: Array((text + "\n").utf8)))
            case "stub":
                // What starting a container leaves where nothing was to mount on.
                for mount in step.mounts { try PathInRoot.makeDirectories(mount.target, root: root) }
            case "exit": return Int32(words[1]) ?? 1
            case "hang":
                hangs.continuation.yield()
                try await Task.sleep(for: .seconds(60))
            default: break
            }
        }
        return 0
    }

    /// The names in a mounted directory or the content of a mounted file.
    private static func look(_ mount: SharedFD) throws -> String {
        try mount.withOwned { mount in
            let status = try fstat(mount)
            let mode = String(status.permissions, radix: 8)
            if status.kind == .directory {
                return "\(mode) " + (try namesInDirectory(try reopenDirectory(mount)).map(\.description).sorted().joined(separator: " "))
            }
            let file = try OwnedFD.open(FilePath("/proc/self/fd/\(mount.raw)"), .readOnly)
            return "\(mode) \(status.uid):\(status.gid) " + String(decoding: try file.readAll(limit: 1 << 20), as: UTF8.self)
        }
    }

    private static func put(_ mount: SharedFD, _ name: String, _ text: String) throws -> String {
        try mount.withOwned { mount in
            do {
                let file = try openat(mount, try FileName(name), [.writeOnly, .create, .truncate], mode: 0o644)
                try file.writeAll(Array(text.utf8))
                return "written"
            } catch let error as SystemError {
                return "\(error.errno)"
            }
        }
    }
}

/// Plays the web: addresses and what they lead to.
final class PlayedWeb: RemoteFiles {
    struct Page: Sendable {
        var content: String
        var etag: String?
    }

    private struct State {
        var pages: [String: Page] = [:]
        var asked: [String] = []
    }

    private let state = Mutex(State())

    /// What was fetched, with "unchanged" behind those that were known, and what was shown to the server.
    var asked: [String] { state.withLock { $0.asked } }

    func set(_ address: String, _ content: String, etag: String? = nil) {
        state.withLock { $0.pages[address] = Page(content: content, etag: etag) }
    }

    func fetch(_ address: String, authorization: String?, unless etag: String?, to file: FilePath) async throws -> RemoteFile? {
        let page = state.withLock { state -> Page? in
            let page = state.pages[address]
            let isKnown = etag != nil && page?.etag == etag
            state.asked.append(address + (isKnown ? " unchanged" : "") + (authorization.map { " " + $0 } ?? ""))
            return page
        }
        guard let page else { throw BuildError.failed("404 from \(address)") }
        if let etag, page.etag == etag { return nil }
        try writeAtomically(Array(page.content.utf8), to: file, mode: 0o600, sync: false)
        return RemoteFile(etag: page.etag, lastModified: "Wed, 21 Oct 2015 07:28:00 GMT")
    }
}
