import Archive
import BuildContext
import DockerAPI
import EngineClient
import Linux
import OCI
import SystemPackage

/// The caches of a build that are folders here: they go to the engine before the build, and come from it after the build.
struct BuildCaches {
    let call: Invocation

    /// `cachefrom` and `cacheto` of the build's request.
    func query() async throws -> [(String, String)] {
        var sources: [String] = []
        for text in call[BuildFlags.cacheFrom] {
            var place = try CachePlace.source(text)
            if place.kind == .local {
                guard let deposit = try await handIn(place.folder) else { continue }
                place.folder = CachePlace.deposit + deposit
            }
            sources.append(place.text)
        }
        // Where a folder is is nothing to the engine.
        let targets = try call[BuildFlags.cacheTo].map { text in
            var place = try CachePlace.target(text)
            if place.kind == .local { place.folder = "." }
            return place.text
        }
        return [("cachefrom", sources), ("cacheto", targets)].filter { !$0.1.isEmpty }.map { name, values in
            (name, String(decoding: JSONValue.array(values.map(JSONValue.string)).serialized(), as: UTF8.self))
        }
    }

    /// Nil when there is no such folder, as before the first build that makes it.
    private func handIn(_ folder: String) async throws -> String? {
        let path = FilePath(Paths.absolute(folder, in: call.program.workingDirectory))
        guard try lstatIfExists(path.appending("index.json")) != nil else {
            try call.program.warn("local cache import at \(folder) not found: no index.json")
            return nil
        }
        let next = try TarProducer { writer in
            let wanted: Set<String> = ["blobs", "index.json", "oci-layout"]
            let tree = TreeArchive(
                writer,
                options: TreeOptions(owner: (0, 0)) { path, _ in
                    wanted.contains(String(decoding: path.prefix { $0 != UInt8(ascii: "/") }, as: UTF8.self)) ? .include : .skipTree
                })
            try tree.addContents(of: try OwnedFD.open(path, [.readOnly, .directory]))
        }.next
        let request = EngineRequest(.post, "/build/contexts", body: .stream(type: "application/x-tar", next: next))
        return try await call.program.engine.get(IDResponse.self, request).Id
    }

    /// Fills the folders of `--cache-to` with what the build has left for them.
    func take(_ caches: [String]) async throws {
        let folders = try call[BuildFlags.cacheTo].map(CachePlace.target).filter { $0.kind == .local }.map(\.folder)
        for (cache, folder) in zip(caches, folders) where !cache.isEmpty {
            let request = EngineRequest(.get, "/build/caches/\(EngineRequest.escaped(cache))")
            try await BuildOutput.unpack(request, to: folder, call)
        }
    }
}
