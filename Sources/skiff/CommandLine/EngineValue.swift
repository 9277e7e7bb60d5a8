import EngineClient
import OCI

extension EngineClient {
    /// The answer to a request of which little is read. To put its `Decodable` types together would take longer than all the
    /// rest: for each the program's conformances are looked through from the first to the last.
    func value(_ request: EngineRequest) async throws -> JSONValue {
        let bytes = try await send(request)
        do {
            return try JSONValue.parse(bytes, limits: .init(bytes: 1 << 28))
        } catch {
            throw CommandFailure("the engine's answer cannot be read: \(error)")
        }
    }
}
