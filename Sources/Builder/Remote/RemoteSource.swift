import Blocking
import BuildContext
import FoundationEssentials
import Images
import Linux
import OCI
import Store
import SystemPackage

/// A source of `ADD` that lies on the network, known by its content before it is fetched if that is possible.
enum RemoteSource: Sendable {
    case file(WebFile)
    case repository(GitAddress, commit: String, keepsGitDirectory: Bool)

    struct WebFile: Sendable {
        var address: String
        var name: String
        var digest: Digest
        /// As an HTTP date.
        var lastModified: String?
        /// Where it is if it was fetched already.
        var place: FilePath?
    }

    /// What is there in the end.
    struct Fetched: Sendable {
        var tree: SourceTree
        var entry: SourceTree.Entry
    }

    var isDirectory: Bool {
        if case .repository = self { true } else { false }
    }

    var digest: String {
        switch self {
        case .file(let file): Digest.sha256(of: Array("\(file.name) \(file.digest)".utf8)).hex
        case .repository(let address, let commit, let keeps):
            Digest.sha256(of: Array("\(commit) \(address.subdirectory) \(keeps ? address.remote : "") \(address.fetchesSubmodules)".utf8)).hex
        }
    }

    /// An address of `ADD` that is no file of the context.
    static func isRemote(_ text: String) throws(BuildError) -> Bool {
        if try GitAddress(text) != nil { return true }
        if text.hasPrefix("ftp://") { throw .invalid("ADD of \(AddressText.shown(text)): only http, https and Git addresses are possible") }
        return text.hasPrefix("http://") || text.hasPrefix("https://")
    }
}

extension BuildRun {
    // MARK: Knowing

    /// Finds out what lies behind an address. A file without a checksum is fetched unless its server says that it is still
    /// the one of an earlier build.
    func remote(_ address: String, _ command: CopyCommand, checksum: String?, destination: String) async throws -> RemoteSource {
        if var git = try GitAddress(address) {
            if let checksum {
                try GitAddress.check(checksum)
                guard git.checksum == nil || git.checksum == checksum else {
                    throw BuildError.invalid("checksum conflicts: \(git.checksum ?? "") vs \(checksum)")
                }
                git.checksum = checksum
            }
            let keeps = command.keepsGitDirectory ?? git.keepsGitDirectory ?? false
            git = try request.lock?.pinned(git, address) ?? git
            let commit = try await gitCheckout(git).commit(of: git)
            request.lock?.note(repository: address, commit)
            return .repository(git, commit: commit, keepsGitDirectory: keeps)
        }
        if command.keepsGitDirectory == true {
            throw BuildError.invalid("--keep-git-dir is only for Git repositories, not for \(AddressText.shown(address))")
        }
        let name = Self.fileName(address)
        if name.isEmpty && destination.hasSuffix("/") {
            throw BuildError.invalid("cannot determine filename from url: \(AddressText.shown(address))")
        }
        var file = RemoteSource.WebFile(address: address, name: name.isEmpty ? "file" : name, digest: Digest.sha256(of: []))
        if let checksum {
            guard let digest = try? Digest(checksum), checksum.hasPrefix("sha256:") else {  // The text is told below.
                throw BuildError.invalid("invalid checksum \(GoQuote.quoted(checksum)): only sha256 is possible")
            }
            file.digest = digest
        } else if let digest = try request.lock?.digest(ofFile: address) {
            file.digest = digest
        } else {
            file = try await known(file)
        }
        try request.lock?.note(file: address, file.digest)
        return .file(file)
    }

    /// The last part of the path, without a way out of the directory it goes to.
    static func fileName(_ address: String) -> String {
        let path = address.prefix { $0 != "?" && $0 != "#" }
        guard let start = path.firstRange(of: "://")?.upperBound, let slash = path[start...].lastIndex(of: "/") else { return "" }
        let name = String(path[path.index(after: slash)...])
        let plain = unescaped(name)
        return [".", ".."].contains(plain) || plain.contains("/") || plain.utf8.contains(0) ? "" : plain
    }

    /// Percent signs with two digits are bytes.
    private static func unescaped(_ text: String) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16), rest.count > 1 {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// What an earlier build has learnt of an address.
    private struct WebRecord: Codable, Sendable {
        var created: String
        /// As the history of a step, so that both are told alike.
        var createdBy: String
        var etag: String
        var lastModified: String?
        var digest: String

        enum CodingKeys: String, CodingKey {
            case created, etag, lastModified, digest
            case createdBy = "created_by"
        }
    }

    private func known(_ file: RemoteSource.WebFile) async throws -> RemoteSource.WebFile {
        var file = file
        var key = CacheKey("web", parent: nil)
        key.add(file.address)
        let row = request.noCache ? nil : try await build.cache.find(key: key.text)
        // A row that cannot be read is as good as none.
        let record = row.flatMap { try? JSONDecoder().decode(WebRecord.self, from: Data($0.json)) }
        let (place, answer) = try await download(file.address, unless: record?.etag)
        if let answer {
            file.place = place
            file.lastModified = answer.lastModified
            file.digest = try await stoppable { try Self.digest(of: place, $0) }
            if let etag = answer.etag, !etag.isEmpty {
                let now = Timestamp.now().description
                let shown = "ADD " + AddressText.shown(file.address)
                let record = WebRecord(
                    created: now, createdBy: shown, etag: etag, lastModified: answer.lastModified, digest: file.digest.description)
                try await build.cache.save(key: key.text, layer: nil, json: try encodeDocument(record))
            }
        } else if let record {
            file.digest = try Digest(record.digest)
            file.lastModified = record.lastModified
        }
        return file
    }

    /// Secrets for a host are for that host alone.
    private func authorization(for address: String) -> String? {
        let rest = address.firstRange(of: "://").map { address[$0.upperBound...] } ?? ""
        let host = String(rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" })
        if let header = request.secrets["HTTP_AUTH_HEADER_\(host)"] { return String(decoding: header, as: UTF8.self).trimmed() }
        if let token = request.secrets["HTTP_AUTH_TOKEN_\(host)"] { return "Bearer " + String(decoding: token, as: UTF8.self).trimmed() }
        return nil
    }

    private func download(_ address: String, unless etag: String?) async throws -> (FilePath, RemoteFile?) {
        let place = directory.appending("web-" + RandomHex.make(16))
        let answer = try await build.remoteFiles.fetch(address, authorization: authorization(for: address), unless: etag, to: place)
        return (place, answer)
    }

    static func digest(of place: FilePath, _ stop: StopSign) throws -> Digest {
        try Digest.sha256(of: OwnedFD.open(place, .readOnly)) { try stop.check() }
    }

    // MARK: Fetching

    func gitCheckout(_ address: GitAddress) async throws -> GitCheckout {
        let (home, authorization) = (directory.appending("git-home"), gitAuthorization(address))
        return try await blocking {
            try makeDirectories(home, mode: 0o700)
            return try GitCheckout(home: home, authorization: authorization)
        }
    }

    /// `GIT_AUTH_TOKEN` and `GIT_AUTH_HEADER`, for all hosts or for one (`GIT_AUTH_TOKEN.github.com`).
    private func gitAuthorization(_ address: GitAddress) -> (address: String, header: String)? {
        let parts = address.remote.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count > 3, parts[0].hasPrefix("http") else { return nil }
        let host = parts[2]
        let secret = { (name: String) in
            (request.secrets["\(name).\(host)"] ?? request.secrets[name]).map { String(decoding: $0, as: UTF8.self).trimmed() }
        }
        let token = secret("GIT_AUTH_TOKEN").map { "basic " + Data("x-access-token:\($0)".utf8).base64EncodedString() }
        guard let header = secret("GIT_AUTH_HEADER") ?? token, !header.contains(where: \.isNewline) else { return nil }
        return ("\(parts[0])//\(host)/", header)
    }

    func fetch(_ source: RemoteSource) async throws -> RemoteSource.Fetched {
        switch source {
        case .file(let file): try await fetch(file)
        case .repository(let address, let commit, let keeps): try await fetch(address, commit, keeps)
        }
    }

    private func fetch(_ file: RemoteSource.WebFile) async throws -> RemoteSource.Fetched {
        var file = file
        var place = file.place
        if place == nil {
            let (fetched, answer) = try await download(file.address, unless: nil)
            let digest = try await stoppable { try Self.digest(of: fetched, $0) }
            guard digest == file.digest else {
                try request.lock?.note(file: file.address, digest)
                throw BuildError.failed("digest mismatch \(digest): \(file.digest)")
            }
            file.lastModified = answer?.lastModified ?? file.lastModified
            place = fetched
        }
        let modified = file.lastModified.flatMap(HTTPDate.seconds) ?? 0
        let (from, folder, name) = (place ?? directory, directory.appending("web-" + RandomHex.make(16)), file.name)
        return try await blocking {
            try makeDirectories(folder, mode: 0o700)
            let opened = try OwnedFD.open(folder, [.readOnly, .directory])
            try rename(from, to: folder.appending("content"))
            let content: FileName = "content"
            try renameat(opened, content, to: opened, try FileName(name))
            let file = try openat(opened, try FileName(name), [.readOnly, .noFollow])
            try fchmod(file, mode: 0o600)
            try futimens(file, modified: FileMetadata.Time(seconds: modified))
            let tree = SourceTree(root: OpenDirectory(opened), directory: folder, ignored: nil, keepsOwners: false)
            return RemoteSource.Fetched(tree: tree, entry: SourceTree.Entry(path: name, isDirectory: false))
        }
    }

    private func fetch(_ address: GitAddress, _ commit: String, _ keepsGitDirectory: Bool) async throws -> RemoteSource.Fetched {
        let folder = directory.appending("git-" + RandomHex.make(16))
        try await gitCheckout(address).checkout(commit, of: address, to: folder, keepsGitDirectory: keepsGitDirectory)
        return try await blocking {
            let root = OpenDirectory(try OwnedFD.open(folder, [.readOnly, .directory]))
            let path = address.subdirectory.isEmpty ? "." : address.subdirectory
            guard try root.kind(of: "/" + path) == .directory else {
                throw BuildError.failed("\(address.remote) has no directory \(path) at \(commit)")
            }
            let tree = SourceTree(root: root, directory: folder, ignored: nil, keepsOwners: false)
            return RemoteSource.Fetched(tree: tree, entry: SourceTree.Entry(path: path, isDirectory: true))
        }
    }
}
