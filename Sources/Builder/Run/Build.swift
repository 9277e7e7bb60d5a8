import Blocking
public import Images
import Linux
import OCI
public import Store
public import SystemPackage

/// Builds images from Dockerfiles. Several builds may run at the same time.
public struct Build: Sendable {
    let images: ImageStore
    let cache: BuildCacheRecords
    let cacheMounts: CacheMounts
    public let remoteFiles: any RemoteFiles
    let runner: any StepRunner
    let scratch: FilePath

    /// - Parameter scratch: an existing directory on the data-root's filesystem that is emptied at the engine's start.
    public init(
        images: ImageStore, cache: BuildCacheRecords, cacheMounts: CacheMounts, remoteFiles: any RemoteFiles,
        runner: any StepRunner, scratch: FilePath
    ) {
        self.images = images
        self.cache = cache
        self.cacheMounts = cacheMounts
        self.remoteFiles = remoteFiles
        self.runner = runner
        self.scratch = scratch
    }

    /// Builds and tags an image. Nothing is left behind when it throws, apart from the results of finished steps in the
    /// cache; a cancelled task ends the build.
    public func run(_ request: BuildRequest, progress: @escaping @Sendable (BuildProgress) async -> Void) async throws
        -> Image
    {
        let directory = scratch.appending("build-" + RandomHex.make(16))
        try await blocking { try makeDirectories(directory, mode: 0o700) }
        let notes = StepNotes()
        do {
            let image = try await image(of: request, directory, notes, progress)
            try await clean(directory, notes)
            return image
        } catch {
            // The build's own error is the one to tell; what cannot be removed now goes at the next start.
            try? await clean(directory, notes)
            throw error
        }
    }

    /// Nothing of the run is left when it returns, so that nobody holds its layers any more.
    private func image(
        of request: BuildRequest, _ directory: FilePath, _ notes: StepNotes, _ progress: @escaping @Sendable (BuildProgress) async -> Void
    ) async throws -> Image {
        var run = try await BuildRun(self, request, directory: directory, notes: notes, progress: progress)
        return try await run.run()
    }

    /// Looks at the Dockerfile of a request without building it.
    public func check(_ request: BuildRequest) async throws -> [LintWarning] {
        try await reading(request) { run in try await run.check() }
    }

    /// What the target of a request takes from outside, as text.
    public func outline(_ request: BuildRequest) async throws -> String {
        try await reading(request) { run in run.outline() }
    }

    /// The stages of a request's Dockerfile, as text.
    public func targets(_ request: BuildRequest) async throws -> String {
        try await reading(request) { run in run.targets() }
    }

    private func reading<T: Sendable>(_ request: BuildRequest, _ body: (inout BuildRun) async throws -> T) async throws -> T {
        var run = try await BuildRun(self, request, directory: scratch) { _ in }
        return try await body(&run)
    }

    /// Layers of cache mounts were made for an export alone.
    private func clean(_ directory: FilePath, _ notes: StepNotes) async throws {
        try await blocking { try removeTree(directory) }
        let layers = notes.mountLayers
        if !layers.isEmpty { try await images.layers.removeUnused(among: layers) }
    }
}

/// Ids that nobody can guess and nobody else has.
enum RandomHex {
    static func make(_ digits: Int) -> String {
        var generator = SystemRandomNumberGenerator()
        return String((0..<digits).map { _ in Array("0123456789abcdef")[Int.random(in: 0..<16, using: &generator)] })
    }
}
