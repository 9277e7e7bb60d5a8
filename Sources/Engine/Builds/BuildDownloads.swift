import Blocking
import Builder
import Linux
import Registry
import SystemPackage

/// Files from the web for builds, within limits of size and time.
struct BuildDownloads: RemoteFiles {
    let registries: Registries

    private static let mostBytes: Int64 = 16 << 30
    private static let timeLimit = Duration.seconds(3600)

    func fetch(_ address: String, authorization: String?, unless etag: String?, to path: FilePath) async throws -> RemoteFile? {
        guard let web = WebAddress(address) else {
            throw EngineError(.invalidArgument, "invalid address \(AddressText.shown(address)): user names and passwords do not belong there")
        }
        let file = try await blocking {
            SharedFD(try OwnedFD.open(path, [.writeOnly, .create, .exclusive], mode: 0o600))
        }
        let document = try await withThrowingTaskGroup(of: WebDocument?.self) { [registries] group in
            group.addTask {
                try await registries.download(web, authorization: authorization, unless: etag, limit: Self.mostBytes, to: file)
            }
            group.addTask {
                try await Task.sleep(for: Self.timeLimit)
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
        guard let document else { throw EngineError(.internalError, "\(AddressText.shown(address)) took longer than an hour") }
        return document.isUnchanged ? nil : RemoteFile(etag: document.etag, lastModified: document.lastModified)
    }
}
