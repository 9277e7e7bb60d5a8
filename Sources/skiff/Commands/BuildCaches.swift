import Archive
import Blocking
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
                guard let deposit = try await handIn(place) else { continue }
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
    private func handIn(_ place: CachePlace) async throws -> String? {
        let path = folder(place)
        guard try lstatIfExists(path.appending("index.json")) != nil else {
            try call.program.warn("local cache import at \(place.folder) not found: no index.json")
            return nil
        }
        let blobs = CacheLayout(path).blobs(ofTag: place.tag)
        let next = try TarProducer { writer in
            let wanted = Set(["index.json", LayoutNames.marker] + blobs)
            let tree = TreeArchive(
                writer,
                options: TreeOptions(owner: (0, 0)) { path, isDirectory in
                    let path = String(decoding: path, as: UTF8.self)
                    return wanted.contains(path) || (path.split(separator: "/").first == "blobs" && isDirectory) ? .include : .skipTree
                })
            try tree.addContents(of: try OwnedFD.open(path, [.readOnly, .directory]))
        }.next
        let request = EngineRequest(.post, "/build/contexts", body: .stream(type: "application/x-tar", next: next))
        return try await call.program.engine.get(IDResponse.self, request).Id
    }

    /// Fills the folders of `--cache-to` with what the build has left for them.
    func take(_ caches: [String]) async throws {
        let places = try call[BuildFlags.cacheTo].map(CachePlace.target).filter { $0.kind == .local }
        for (cache, place) in zip(caches, places) where !cache.isEmpty {
            do {
                try await take(cache, to: folder(place))
            } catch {
                guard place.ignoresErrors, !(error is CancellationError) else { throw error }
                try call.program.warn("error writing cache to \(place.folder): \(error)")
            }
        }
    }

    /// The new cache arrives beside the folder's content, which is whole at any time.
    private func take(_ cache: String, to folder: FilePath) async throws {
        let arriving = folder.appending(".arriving-\(UInt64.random(in: .min ... .max))")
        do {
            let request = EngineRequest(.get, "/build/caches/\(EngineRequest.escaped(cache))")
            try await BuildOutput.unpack(request, to: arriving.string, call)
            try await blocking { try CacheLayout(folder).merge(arriving) }
        } catch {
            try await blocking { try removeTree(arriving) }
            throw error
        }
        try await blocking { try removeTree(arriving) }
    }

    private func folder(_ place: CachePlace) -> FilePath {
        FilePath(Paths.absolute(place.folder, in: call.program.workingDirectory))
    }
}
