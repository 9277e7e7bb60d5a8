import Archive
import Blocking
import BuildContext
import Linux
public import SystemPackage

/// A build context that the engine fetches itself: a Git repository, an archive from the web, or a lone Dockerfile.
public struct RemoteContext: Sendable {
    /// What was fetched.
    public struct Fetched: Sendable {
        /// The files, at or below the directory that was given.
        public var directory: FilePath
        /// The file itself when it is no archive.
        public var dockerfile: [UInt8]?
    }

    private let files: any RemoteFiles
    private let lock: InputLock?

    public init(files: any RemoteFiles, lock: InputLock? = nil) {
        self.files = files
        self.lock = lock
    }

    /// - Parameters:
    ///   - directory: an existing, empty directory
    ///   - scratch: another one, for what is needed on the way
    ///   - keepsGitDirectory: of a repository whose address says nothing of it
    public func fetch(_ address: String, to directory: FilePath, scratch: FilePath, keepsGitDirectory: Bool = false) async throws
        -> Fetched
    {
        if let found = try GitAddress(address, isContext: true) {
            let git = try lock?.pinned(found, address) ?? found
            let checkout = try await blocking { try GitCheckout(home: scratch) }
            let commit = try await checkout.commit(of: git)
            lock?.note(repository: address, commit)
            try await checkout.checkout(commit, of: git, to: directory, keepsGitDirectory: git.keepsGitDirectory ?? keepsGitDirectory)
            return Fetched(directory: try await blocking { try Self.inside(directory, git) }, dockerfile: nil)
        }
        guard address.hasPrefix("http://") || address.hasPrefix("https://") else {
            throw BuildError.invalid("invalid context \(GoQuote.quoted(AddressText.shown(address))): only http, https and Git addresses are possible")
        }
        let place = scratch.appending("download")
        _ = try await files.fetch(address, authorization: nil, unless: nil, to: place)
        if let lock { try lock.note(file: address, try await stoppable { try BuildRun.digest(of: place, $0) }) }
        return try await stoppable { _ in
            let tree = SourceTree(
                root: OpenDirectory(try OwnedFD.open(scratch, [.readOnly, .directory])), ignored: nil, keepsOwners: false)
            guard let archive = try ArchiveSource(SourceTree.Entry(path: "download", isDirectory: false), in: tree) else {
                let file = try OwnedFD.open(place, .readOnly)
                guard try fstat(file).size <= Int64(DockerfileParser.maxBytes) else {
                    throw BuildError.invalid("the file at \(AddressText.shown(address)) is neither an archive nor a Dockerfile")
                }
                return Fetched(directory: directory, dockerfile: try file.readAll(limit: DockerfileParser.maxBytes))
            }
            try archive.extractContext(into: try OwnedFD.open(directory, [.path, .directory]))
            return Fetched(directory: directory, dockerfile: nil)
        }
    }

    /// A part of a repository. Links on the way to it could lead anywhere, so there may be none.
    private static func inside(_ directory: FilePath, _ git: GitAddress) throws -> FilePath {
        if git.subdirectory.isEmpty { return directory }
        let root = try OwnedFD.open(directory, [.path, .directory])
        do {
            _ = try PathInRoot.open(git.subdirectory, root: root, flags: [.path, .directory], resolve: .noSymbolicLinks)
        } catch {
            throw BuildError.invalid("\(git.remote) has no directory \(git.subdirectory): \(error.errno)")
        }
        return directory.appending(git.subdirectory)
    }
}
