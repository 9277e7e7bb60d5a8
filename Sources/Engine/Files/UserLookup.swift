import Linux
import SystemPackage

/// Finds users and groups in the files of a container, never in the host's.
///
/// `USER` is `user`, `uid`, `user:group`, `uid:gid` and mixtures. A number is taken as it is, also without an entry.
struct UserLookup {
    struct Identity: Equatable, Sendable {
        var uid: UInt32 = 0
        var gid: UInt32 = 0
        var groups: [UInt32] = []
        var home = "/"
        var name = ""
    }

    private let passwd: [[Substring]]
    private let group: [[Substring]]

    /// A file that is larger than this is not read further: it comes from an image.
    private static let sizeLimit = 4 << 20

    init(root: borrowing OwnedFD) throws {
        passwd = Self.fields(try Self.read("/etc/passwd", root))
        group = Self.fields(try Self.read("/etc/group", root))
    }

    init(passwd: String, group: String) {
        self.passwd = Self.fields(passwd)
        self.group = Self.fields(group)
    }

    func identity(_ user: String, additionalGroups: [String] = []) throws(EngineError) -> Identity {
        let parts = user.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let userPart = parts.first.map(String.init) ?? ""
        var identity = Identity()
        let entry = try account(userPart.isEmpty ? "0" : userPart, &identity)
        if parts.count == 2, !parts[1].isEmpty {
            identity.gid = try groupID(String(parts[1]))
        } else if let entry {
            identity.gid = UInt32(entry[3]) ?? 0
            identity.groups = memberships(String(entry[0]))
        }
        // A program that gives its group up must not gain by it where the group is what is forbidden something.
        identity.groups.removeAll { $0 == identity.gid }
        identity.groups.insert(identity.gid, at: 0)
        for name in additionalGroups {
            let gid = try groupID(name)
            if !identity.groups.contains(gid) { identity.groups.append(gid) }
        }
        return identity
    }

    /// Fills in what the account says and answers its entry.
    private func account(_ user: String, _ identity: inout Identity) throws(EngineError) -> [Substring]? {
        let number = try Self.number(user, what: "uid")
        let entry = passwd.first { entry in
            // An entry whose numbers are none is nobody's, and surely not root's.
            guard entry.count >= 4, Self.isNumber(entry[2]), Self.isNumber(entry[3]) else { return false }
            return if let number { UInt32(entry[2]) == number } else { entry[0] == user }
        }
        identity.name = entry.map { String($0[0]) } ?? ""
        if let entry {
            identity.uid = UInt32(entry[2]) ?? 0
            if entry.count > 5, !entry[5].isEmpty { identity.home = String(entry[5]) }
        } else if let number {
            identity.uid = number
        } else {
            throw EngineError(.invalidArgument, "unable to find user \(user): no matching entries in passwd file")
        }
        return entry
    }

    private func groupID(_ name: String) throws(EngineError) -> UInt32 {
        if let number = try Self.number(name, what: "gid") { return number }
        guard let entry = group.first(where: { $0.count >= 3 && $0[0] == name && Self.isNumber($0[2]) }), let gid = UInt32(entry[2]) else {
            throw EngineError(.invalidArgument, "unable to find group \(name): no matching entries in group file")
        }
        return gid
    }

    private func memberships(_ user: String) -> [UInt32] {
        var groups: [UInt32] = []
        for entry in group where entry.count >= 4 {
            guard entry[3].split(separator: ",").contains(where: { $0 == user }), Self.isNumber(entry[2]), let gid = UInt32(entry[2]),
                !groups.contains(gid)
            else { continue }
            groups.append(gid)
        }
        return groups
    }

    /// A text of digits is a number and never a name; one that is too large is an error, not a wrap to root.
    private static func number(_ text: String, what: String) throws(EngineError) -> UInt32? {
        let digits = text.hasPrefix("-") || text.hasPrefix("+") ? text.dropFirst() : text[...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        guard let number = UInt32(text), number <= UInt32(Int32.max) else {
            throw EngineError(.invalidArgument, "uids and gids must be in range 0-2147483647")
        }
        return number
    }

    private static func isNumber(_ text: Substring) -> Bool { UInt32(text).map { $0 <= UInt32(Int32.max) } ?? false }

    private static func fields(_ text: String) -> [[Substring]] {
        // No entry has more than seven fields; what follows stays part of the last.
        text.split(separator: "\n").prefix(100_000).map { $0.split(separator: ":", maxSplits: 7, omittingEmptySubsequences: false) }
    }

    /// Empty where the image has no such file, or something that is no regular file.
    private static func read(_ path: String, _ root: borrowing OwnedFD) throws -> String {
        do {
            let file = try PathInRoot.open(path, root: root, flags: [.readOnly, .nonBlocking])
            let isFile = try fstat(file).kind == .regular
            return isFile ? String(decoding: try file.readAll(limit: sizeLimit), as: UTF8.self) : ""
        } catch {
            if error.meansMissing { return "" }
            throw error
        }
    }
}
