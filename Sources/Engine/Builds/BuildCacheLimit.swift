import Builder
import DockerAPI
import Linux
import Logging
import SystemPackage

/// Keeps what builds leave below a size: some time after a build the least recently used of it goes.
public actor BuildCacheLimit {
    private let limit: Int64
    private let logger: Logger
    private var trimming: Task<Void, Never>?
    private var last: ContinuousClock.Instant?

    /// Measuring caches takes a while, so it is not done after each of many builds.
    private static let pause = Duration.seconds(60)

    /// - Parameter limit: nil: a tenth of the file system, but 2 GB at least
    init(_ limit: Int64?, dataRoot: FilePath, logger: Logger) throws {
        self.limit = try limit ?? max(2 << 30, Int64(clamping: FilesystemSpace(at: dataRoot).totalBytes / 10))
        self.logger = logger
    }

    /// `20GB`, `512m`, a number of bytes; nil for anything else.
    public static func bytes(_ text: String) -> Int64? { ByteAmount.bytes(text) }

    /// Begins to trim unless that was done just now or is being done.
    func buildEnded(_ engine: ContainerEngine) {
        let now = ContinuousClock.now
        guard trimming == nil, last.map({ now - $0 > Self.pause }) ?? true else { return }
        last = now
        trimming = Task { [limit, logger] in
            var wanted = BuildCachePrune()
            wanted.keepBytes = limit
            do {
                let response = try await engine.pruneBuildCache(wanted)
                if let bytes = response.SpaceReclaimed, bytes > 0 {
                    logger.info("build cache trimmed", metadata: ["bytes": "\(bytes)", "limit": "\(limit)"])
                }
            } catch {
                logger.warning("build cache cannot be trimmed", metadata: ["error": "\(error)"])
            }
            self.ended()
        }
    }

    private func ended() { trimming = nil }

    /// Waits for what has begun.
    func close() async {
        trimming?.cancel()
        await trimming?.value
    }
}
