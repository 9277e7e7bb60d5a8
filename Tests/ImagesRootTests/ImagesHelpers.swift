import Archive
import FoundationEssentials
import Images
import Linux
import OCI
import Store
import SystemPackage
import Testing

/// An image store in a folder that is gone after the body.
struct TestStore {
    let root: FilePath
    let images: ImageStore

    var layers: LayerStore { images.layers }

    static func with<T>(_ body: (TestStore) async throws -> T) async throws -> T {
        let root = FilePath("/tmp/skiff-test-\(UInt64.random(in: .min ... .max))")
        let result: T
        do {
            result = try await body(open(root))
        } catch {
            try removeTree(root)
            throw error
        }
        try removeTree(root)
        return result
    }

    static func open(_ root: FilePath) async throws -> TestStore {
        try makeDirectories(root)
        let database = try await Database.open(root.appending("skiff.db"))
        return TestStore(root: root, images: try await ImageStore(root: root, database: database))
    }

    func layer(_ entries: [TarEntry], contents: [String: String] = [:]) async throws -> Digest {
        try await layers.unpack(from: input(tar(entries, contents)))
    }

    /// Makes an upper directory with these files in it, as a container would have left it.
    func upper(_ files: [String: String]) throws -> FilePath {
        let path = root.appending("upper-\(UInt64.random(in: .min ... .max))")
        try makeDirectories(path, mode: 0o755)
        for (name, content) in files { try writeAtomically(Array(content.utf8), to: path.appending(name), mode: 0o644, sync: false) }
        return path
    }

    func image(_ name: String, layers: [Digest]) async throws -> Image {
        try await images.create(config: ImageConfig(rootfs: .init(diffIDs: layers)), references: [Reference(name)])
    }

    func input(_ bytes: [UInt8]) throws -> SharedFD {
        let path = root.appending("input-\(UInt64.random(in: .min ... .max))")
        try writeAtomically(bytes, to: path, sync: false)
        return SharedFD(try OwnedFD.open(path, .readOnly))
    }

    func saved(_ names: String...) async throws -> [UInt8] {
        let path = root.appending("output")
        try await images.save(names, to: SharedFD(try OwnedFD.open(path, [.writeOnly, .create, .truncate])))
        let file = try OwnedFD.open(path, .readOnly)
        return try file.readAll(limit: 64 << 20)
    }

    /// What the layers' directory and the one for temporary things hold.
    func leftovers() throws -> (layers: Set<String>, temporary: Set<String>) {
        func names(_ name: String) throws -> Set<String> {
            let directory = try OwnedFD.open(root.appending(name), [.readOnly, .directory])
            return Set(try namesInDirectory(directory).map(\.description))
        }
        return (try names("layers"), try names("tmp"))
    }
}

func tar(_ entries: [TarEntry], _ contents: [String: String] = [:]) throws -> [UInt8] {
    let sink = MemorySink()
    let writer = TarWriter(sink)
    for entry in entries {
        if entry.kind == .file {
            try writer.write(entry, content: Array((contents[entry.displayPath] ?? "").utf8))
        } else {
            try writer.begin(entry)
        }
    }
    try writer.finish()
    return sink.bytes
}

func file(_ path: String, mode: UInt32 = 0o644) -> TarEntry { TarEntry(path: Array(path.utf8), kind: .file, mode: mode) }

func folder(_ path: String) -> TarEntry { TarEntry(path: Array(path.utf8), kind: .directory, mode: 0o755) }

/// The content of a file in a mounted tree; nil when it is not there.
func content(_ path: String, in mount: borrowing OwnedFD) throws -> String? {
    do {
        let file = try PathInRoot.open(path, root: mount, flags: .readOnly)
        return String(decoding: try file.readAll(limit: 1 << 20), as: UTF8.self)
    } catch {
        guard error.errno == .noSuchFileOrDirectory else { throw error }
        return nil
    }
}
