import BuildContext
import FoundationEssentials
public import OCI
import Store

/// What a build has taken from elsewhere, exactly: images by their digests, files of the web by their content, Git repositories
/// by their commits. Another build that obeys it takes the same or nothing.
public struct LockFile: Codable, Sendable, Equatable {
    public static let mostBytes = DocumentLimit.lockFile

    public struct Image: Codable, Sendable, Equatable {
        /// Of what the registry has under the name; nil for an image that came from no registry.
        public var digest: Digest?
        /// Of the image's configuration.
        public var id: Digest
    }

    public private(set) var version = 1
    /// By reference, then by platform.
    public var images: [String: [String: Image]] = [:]
    /// Contents by address.
    public var files: [String: Digest] = [:]
    /// Commits by address.
    public var repositories: [String: String] = [:]

    public init() {}

    public init(reading bytes: [UInt8]) throws(BuildError) {
        guard bytes.count <= Self.mostBytes else { throw .invalid("the lock file has more than \(Self.mostBytes) bytes") }
        struct Version: Decodable { var version: Int }
        let data = Data(bytes)
        do {
            let version = try JSONDecoder().decode(Version.self, from: data).version
            guard version == 1 else { throw BuildError.invalid("the lock file has version \(version), only 1 is known here") }
            self = try JSONDecoder().decode(LockFile.self, from: data)
        } catch let error as BuildError {
            throw error
        } catch {
            throw .invalid("the lock file cannot be read: \(error)")
        }
        let isCommit = { (text: String) in [40, 64].contains(text.utf8.count) && text.utf8.allSatisfy { "0123456789abcdef".utf8.contains($0) } }
        guard let wrong = repositories.first(where: { !isCommit($0.value) }) else { return }
        throw .invalid("the lock file has no commit for \(wrong.key)")
    }

    /// One entry a line, in order: made to be compared.
    public func serialized() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return [UInt8](try encoder.encode(self)) + [UInt8(ascii: "\n")]
    }
}
