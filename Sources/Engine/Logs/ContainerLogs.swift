import DockerAPI
import NIOCore

extension Container {
    /// `docker logs`. `write` gets the bytes of the API's stream.
    func logs(_ query: LogQuery, write: @escaping @Sendable (ByteBuffer) async throws -> Void) async throws {
        guard record.hostConfig.LogConfig?.Type != "none" else {
            throw EngineError(.notImplemented, "configured logging driver does not support reading")
        }
        let terminal = isTerminal
        let (timestamps, details) = (query.timestamps, query.details)
        try await LogReader(path: paths.log, query: query, logger: logger).run(isLive: { await self.phase.isLive }) { entry in
            try await write(entry.encoded(terminal: terminal, timestamps: timestamps, details: details))
        }
    }
}
