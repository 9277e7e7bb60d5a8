import BuildContext
import OCI
import Store

/// A Git repository as `ADD` and build contexts name it: `https://host/path.git#ref:subdirectory`,
/// `https://host/path.git?tag=v1&subdir=docs`.
public struct GitAddress: Sendable, Equatable {
    /// For `git` itself, without fragment and query.
    public var remote: String
    /// A branch, a tag or a commit; empty: what the repository has checked out.
    public var ref = ""
    /// Of the repository, without a way out; empty: all of it.
    public var subdirectory = ""
    /// The beginning of the commit that has to be found.
    public var checksum: String?
    public var keepsGitDirectory: Bool?
    public var fetchesSubmodules = true

    /// - Returns: nil for what is no Git repository. A web address is one only when its path ends in `.git`.
    /// - Parameter isContext: also takes `github.com/owner/name`, as contexts always could be written.
    public init?(_ text: String, isContext: Bool = false) throws(BuildError) {
        var text = text
        let isGitHub = isContext && text.hasPrefix("github.com/")
        if isGitHub { text = "https://" + text }
        let (beforeFragment, fragment) = text.splitOnce("#") ?? (text, "")
        let (remote, query) = beforeFragment.splitOnce("?") ?? (beforeFragment, "")
        let isWeb = ["http://", "https://"].contains { remote.hasPrefix($0) }
        if isWeb {
            guard remote.hasSuffix(".git") || isGitHub else { return nil }
        } else {
            let isSecureShell = remote.hasPrefix("ssh://") || remote.hasPrefix("git@")
            guard remote.hasPrefix("git://") || isSecureShell else { return nil }
            if isSecureShell {
                throw .invalid(
                    "\(AddressText.withoutUser(remote)): Git by SSH is not available in this version of Skiff; RUN --mount=type=ssh with git in the image is"
                )
            }
        }
        let authority = remote.firstRange(of: "://").map { remote[$0.upperBound...].prefix { $0 != "/" } } ?? ""
        // They would stand in the configuration of the repository, in messages and where anybody can see the arguments of git.
        guard !AddressText.hasUser(remote), !authority.hasPrefix("-") else {
            throw .invalid(
                "invalid Git address \(AddressText.withoutUser(remote)): user names and passwords do not belong there; use the secret GIT_AUTH_TOKEN")
        }
        guard remote.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), remote.utf8.count < 4096 else {
            throw .invalid("invalid Git address \(GoQuote.quoted(remote))")
        }
        self.remote = remote
        let (ref, subdirectory) = fragment.splitOnce(":") ?? (fragment, "")
        self.ref = ref
        self.subdirectory = subdirectory
        if !query.isEmpty { try read(query) }
        try check()
    }

    private mutating func read(_ query: String) throws(BuildError) {
        for pair in query.split(separator: "&").map(String.init) {
            let (name, value) = pair.splitOnce("=") ?? (pair, "")
            switch name {
            case "ref", "branch", "tag":
                let full = name == "branch" ? "refs/heads/" + value : name == "tag" ? "refs/tags/" + value : value
                guard ref.isEmpty || ref == full else { throw .invalid("ref conflicts: \(ref) vs \(full)") }
                ref = full
            case "subdir":
                guard subdirectory.isEmpty || subdirectory == value else {
                    throw .invalid("subdir conflicts: \(subdirectory) vs \(value)")
                }
                subdirectory = value
            case "checksum", "commit": checksum = value
            case "keep-git-dir": keepsGitDirectory = try boolean(name, value)
            case "submodules": fetchesSubmodules = try boolean(name, value)
            default: throw .invalid("unexpected query \(GoQuote.quoted(name))")
            }
        }
    }

    private func boolean(_ name: String, _ value: String) throws(BuildError) -> Bool {
        switch value {
        case "", "1", "true": true
        case "0", "false": false
        default: throw .invalid("invalid \(name) value: \(GoQuote.quoted(value))")
        }
    }

    /// Nothing here may be taken for an option by `git`, nor lead out of the repository.
    private mutating func check() throws(BuildError) {
        let isName = ref.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"~^:?*[\\".utf8.contains($0) }
        guard isName, !ref.hasPrefix("-"), !ref.contains(".."), ref.utf8.count < 1024 else {
            throw .invalid("invalid Git ref \(GoQuote.quoted(ref))")
        }
        let path = CleanPath.clean("/" + subdirectory)
        guard !subdirectory.split(separator: "/").contains("..") else {
            throw .invalid("invalid subdirectory \(GoQuote.quoted(subdirectory)) of a Git repository")
        }
        subdirectory = path == "/" ? "" : String(path.dropFirst())
        try GitAddress.check(checksum)
    }

    static func check(_ checksum: String?) throws(BuildError) {
        guard let checksum else { return }
        guard (7...64).contains(checksum.utf8.count), checksum.allSatisfy(\.isHexDigit) else {
            throw .invalid("invalid checksum \(GoQuote.quoted(checksum)): expected a commit")
        }
    }
}

/// Addresses as they may be shown.
public enum AddressText {
    /// Leaves out a user's name and password.
    public static func withoutUser(_ address: String) -> String {
        guard let (authority, at) = user(of: address) else { return address }
        return String(address[..<authority] + address[address.index(after: at)...])
    }

    /// Leaves out what may be secret besides: the query. For messages.
    public static func shown(_ address: String) -> String {
        String(withoutUser(address).prefix { $0 != "?" && $0 != "#" })
    }

    /// Tells addresses apart by their query without giving it away.
    static func key(_ address: String) -> String {
        let query = address.prefix { $0 != "#" }.drop { $0 != "?" }.dropFirst()
        return shown(address) + (query.isEmpty ? "" : "?sha256=\(Digest.sha256(of: Array(query.utf8)).hex.prefix(16))")
    }

    static func hasUser(_ address: String) -> Bool { user(of: address) != nil }

    /// Where the part with the host begins, and where the user ends.
    private static func user(of address: String) -> (authority: String.Index, at: String.Index)? {
        guard let start = address.firstRange(of: "://")?.upperBound else { return nil }
        let end = address[start...].firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? address.endIndex
        return address[start..<end].lastIndex(of: "@").map { (start, $0) }
    }
}
