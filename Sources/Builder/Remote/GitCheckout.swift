import Blocking
import Linux
public import SystemPackage

/// Fetches Git repositories with the host's `git`, which gets nothing of the host's settings: no hooks, no configuration,
/// no credentials, no protocol but https, http and git, no question to anybody. It runs in process and mount namespaces of
/// its own, so that all of it ends when it is told to.
public struct GitCheckout: Sendable {
    private let git: FilePath
    private let unshare: FilePath
    /// An empty directory that stands for the home.
    private let home: FilePath
    /// What is shown to a host, by the beginning of its addresses.
    private let authorization: (address: String, header: String)?

    /// - Parameters:
    ///   - home: an existing, empty directory
    ///   - authorization: the value of a header for the host of one web address, and for no other one
    public init(home: FilePath, authorization: (address: String, header: String)? = nil) throws {
        guard let git = try Self.find("git") else {
            throw BuildError.failed("git is not installed on this machine, so Git repositories cannot be fetched")
        }
        guard let unshare = try Self.find("unshare") else { throw BuildError.failed("unshare is not installed on this machine") }
        self.git = git
        self.unshare = unshare
        self.home = home
        self.authorization = authorization
    }

    private static func find(_ name: String) throws -> FilePath? {
        for folder in ["/usr/local/bin", "/usr/bin", "/bin"] {
            let path = FilePath(folder).appending(name)
            if try lstatIfExists(path) != nil { return path }
        }
        return nil
    }

    // MARK: Steps

    /// The commit that the address means just now.
    public func commit(of address: GitAddress) async throws -> String {
        let isCommit = [40, 64].contains(address.ref.utf8.count) && address.ref.allSatisfy(\.isHexDigit)
        if isCommit { return try checked(address.ref.lowercased(), address) }
        let wanted = address.ref.isEmpty ? "HEAD" : address.ref
        let names =
            wanted == "HEAD" || wanted.hasPrefix("refs/") ? [wanted] : ["refs/tags/" + wanted, "refs/heads/" + wanted, wanted]
        let listing = try await run(["ls-remote", "--", address.remote] + names.flatMap { [$0, $0 + "^{}"] }, for: address)
        var found: [String: String] = [:]
        for line in listing.split(separator: "\n") {
            let fields = line.split(separator: "\t")
            if fields.count == 2, fields[0].allSatisfy(\.isHexDigit) { found[String(fields[1])] = String(fields[0]) }
        }
        // A tag with a text of its own names a commit by one more step.
        for name in names {
            if let commit = found[name + "^{}"] ?? found[name] { return try checked(commit, address) }
        }
        throw BuildError.failed("repository does not contain ref \(wanted), output: \"\(listing.prefix(200))\"")
    }

    private func checked(_ commit: String, _ address: GitAddress) throws -> String {
        if let checksum = address.checksum?.lowercased(), !commit.hasPrefix(checksum) {
            throw BuildError.failed("expected checksum to match \(checksum), got \(commit)")
        }
        return commit
    }

    /// Writes the files of a commit to a new directory, with `.git` if it is wanted.
    public func checkout(_ commit: String, of address: GitAddress, to directory: FilePath, keepsGitDirectory: Bool) async throws {
        try await blocking { try makeDirectories(directory, mode: 0o755) }
        let place = ["-C", directory.string]
        _ = try await run(["init", "--quiet", "--", directory.string], for: address)
        _ = try await run(place + ["remote", "add", "--", "origin", address.remote], for: address)
        do {
            _ = try await run(place + ["fetch", "--quiet", "--depth=1", "--no-tags", "origin", commit], for: address)
        } catch is BuildError {
            // Some servers do not give single commits, or only whole histories.
            let all = "+refs/*:refs/remotes/origin/*"
            _ = try await run(place + ["fetch", "--quiet", "--no-tags", "origin", all], for: address)
        }
        _ = try await run(place + ["checkout", "--quiet", "--detach", commit, "--"], for: address)
        if address.fetchesSubmodules {
            _ = try await run(place + ["submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"], for: address)
        }
        try await blocking {
            try Self.settle(try OwnedFD.open(directory, [.readOnly, .directory]), keepsGitDirectory: keepsGitDirectory, depth: 0)
        }
    }

    /// Removes `.git` of the repository and of its submodules, and gives files the permissions that Git knows, whatever the
    /// engine's umask is.
    private static func settle(_ directory: borrowing OwnedFD, keepsGitDirectory: Bool, depth: Int) throws {
        guard depth < 200 else { throw BuildError.failed("directories of the Git repository are nested too deeply") }
        try fchmod(directory, mode: 0o755)
        for name in try namesInDirectory(directory) {
            if name.description == ".git", !keepsGitDirectory {
                try removeTree(in: directory, name)
                continue
            }
            let metadata = try fstatat(directory, name)
            switch metadata.kind {
            case .directory:
                let child = try openat(directory, name, [.readOnly, .directory, .noFollow])
                try settle(child, keepsGitDirectory: keepsGitDirectory, depth: depth + 1)
            case .regular: try fchmodat(directory, name, mode: metadata.permissions & 0o100 != 0 ? 0o755 : 0o644)
            default: continue
            }
        }
    }

    // MARK: The program

    private static let settings = [
        "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.askPass=true", "credential.helper=", "protocol.allow=never",
        "protocol.https.allow=always", "protocol.http.allow=always", "protocol.git.allow=always", "http.followRedirects=initial",
        "http.lowSpeedLimit=1", "http.lowSpeedTime=60", "advice.detachedHead=false", "init.defaultBranch=main",
        "fetch.fsckObjects=true", "core.protectNTFS=false", "core.symlinks=true", "filter.lfs.smudge=", "filter.lfs.process=",
    ]

    private static let timeLimit = Duration.seconds(900)
    private static let mostOutput = 1 << 20

    private func run(_ arguments: [String], for address: GitAddress) async throws -> String {
        let process = try await blocking { try start(arguments) }
        let output = Task { try await onThrowawayThread { try Self.read(process.output) } }
        let status = try await withThrowingTaskGroup(of: ExitStatus?.self) { group in
            group.addTask { try await waitForExit(process.pid) }
            group.addTask {
                try await Task.sleep(for: Self.timeLimit)
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
        let text = try await output.value
        try Task.checkCancellation()
        guard let status else { throw BuildError.failed("git took longer than \(Self.timeLimit.components.seconds) s for \(address.remote)") }
        guard status.code == 0 else {
            let lines = text.split(separator: "\n").suffix(5).joined(separator: "\n")
            throw BuildError.failed("failed to fetch \(address.remote): git: \(lines)")
        }
        return text
    }

    private func start(_ arguments: [String]) throws -> (pid: Int32, output: SharedFD) {
        let (reading, writing) = try makePipe()
        let null = try OwnedFD.open("/dev/null", .readOnly)
        let settings = Self.settings.flatMap { ["-c", $0] }
        let pid = try spawn(
            unshare,
            arguments: ["--mount", "--propagation", "slave", "--pid", "--fork", "--kill-child=KILL", git.string] + settings
                + arguments, environment: environment(), descriptors: [null.raw, writing.raw, writing.raw])
        withExtendedLifetime((writing, null.raw)) {}
        return (pid, reading)
    }

    /// Credentials go here, since arguments are for everybody to see.
    private func environment() -> [String] {
        guard let authorization else { return plainEnvironment() }
        return plainEnvironment() + [
            "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http.\(authorization.address).extraHeader",
            "GIT_CONFIG_VALUE_0=Authorization: \(authorization.header)",
        ]
    }

    private func plainEnvironment() -> [String] {
        let inherited = ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"].map { $0 + "=" }
        return CurrentProcess.environment.filter { entry in inherited.contains { entry.hasPrefix($0) } } + [
            "PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "HOME=\(home)", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
            "GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL=https:http:git", "GIT_PROTOCOL_FROM_USER=0", "GIT_ASKPASS=true",
            "GIT_LFS_SKIP_SMUDGE=1", "GIT_ATTR_NOSYSTEM=1",
        ]
    }

    private static func read(_ output: SharedFD) throws -> String {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = try buffer.withUnsafeMutableBytes { buffer in try output.withOwned { try $0.read(into: buffer) } }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            if bytes.count < mostOutput { bytes += buffer[..<count] }
        }
    }
}
