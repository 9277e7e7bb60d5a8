import Linux
import OCI

/// How a mount shows the owners of the files in it, by the kernel's idmapped mounts: nothing is changed on disk, however many
/// files there are (`idmap`).
///
///     idmap                                   whoever owns the source is the user of the container, and the other way round
///     idmap=uids=0-1000-10#…;gids=0-1000-10   of each triplet: the first id on disk, the first id shown, how many
enum OwnerMapping: Sendable, Equatable {
    case ownerIsUser
    case tables(users: [RuntimeSpec.IDMapping], groups: [RuntimeSpec.IDMapping])

    /// An owner and a group.
    struct Pair: Sendable, Equatable {
        var user: UInt32
        var group: UInt32

        init(user: UInt32, group: UInt32) {
            (self.user, self.group) = (user, group)
        }

        /// Those of a file.
        init(of file: FileMetadata) {
            self.init(user: file.uid, group: file.gid)
        }
    }

    /// The last id is nobody's: the kernel means "none" by it.
    private static let count = UInt32.max
    /// The kernel's limit.
    private static let mostLines = 340

    init(_ text: String) throws(EngineError) {
        if text.isEmpty || text == "owner" {
            self = .ownerIsUser
            return
        }
        var (users, groups): ([RuntimeSpec.IDMapping]?, [RuntimeSpec.IDMapping]?)
        for part in text.split(separator: ";", omittingEmptySubsequences: false) {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2 else { throw Self.refusal(text) }
            let table = try Self.table(pair[1], text)
            switch pair[0] {
            case "uids" where users == nil: users = table
            case "gids" where groups == nil: groups = table
            default: throw Self.refusal(text)
            }
        }
        self = .tables(users: users ?? Self.swapping(0, 0), groups: groups ?? Self.swapping(0, 0))
    }

    private static func refusal(_ text: String) -> EngineError {
        EngineError(.invalidArgument, "invalid idmap '\(text)': it is 'idmap', or 'idmap=uids=DISK-SHOWN-COUNT[#…];gids=DISK-SHOWN-COUNT[#…]'")
    }

    private static func table(_ text: Substring, _ whole: String) throws(EngineError) -> [RuntimeSpec.IDMapping] {
        var table: [RuntimeSpec.IDMapping] = []
        for triplet in text.split(separator: "#", omittingEmptySubsequences: false) {
            // With Podman `@` means ids of the container's user namespace, which is the host's here.
            let numbers = triplet.drop { $0 == "@" }.split(separator: "-", omittingEmptySubsequences: false).map { UInt32($0) }
            guard numbers.count == 3, let disk = numbers[0], let shown = numbers[1], let size = numbers[2], size > 0,
                UInt64(max(disk, shown)) + UInt64(size) <= UInt64(count)
            else { throw refusal(whole) }
            table.append(RuntimeSpec.IDMapping(containerID: disk, hostID: shown, size: size))
        }
        for field in [\RuntimeSpec.IDMapping.containerID, \RuntimeSpec.IDMapping.hostID] {
            let sorted = table.sorted { $0[keyPath: field] < $1[keyPath: field] }
            for (one, next) in zip(sorted, sorted.dropFirst()) where next[keyPath: field] - one[keyPath: field] < one.size {
                throw EngineError(.invalidArgument, "invalid idmap '\(whole)': an id is there twice")
            }
        }
        guard table.count <= mostLines else { throw EngineError(.invalidArgument, "invalid idmap: more than \(mostLines) triplets") }
        return table
    }

    /// The tables for a source of this owner and a container of this user; nil where nobody would be shown as another.
    func tables(owner: Pair, user: Pair) -> (users: [RuntimeSpec.IDMapping], groups: [RuntimeSpec.IDMapping])? {
        switch self {
        case .tables(let users, let groups): (users, groups)
        case .ownerIsUser where owner == user: nil
        case .ownerIsUser: (Self.swapping(owner.user, user.user), Self.swapping(owner.group, user.group))
        }
    }

    /// All ids as they are, but for two that change places.
    private static func swapping(_ one: UInt32, _ other: UInt32) -> [RuntimeSpec.IDMapping] {
        let (low, high) = (min(one, other), max(one, other))
        func range(_ first: UInt32, _ end: UInt32) -> RuntimeSpec.IDMapping { .init(containerID: first, hostID: first, size: end - first) }
        guard low != high, high < count else { return [range(0, count)] }
        let all = [
            range(0, low), RuntimeSpec.IDMapping(containerID: low, hostID: high, size: 1), range(low + 1, high),
            RuntimeSpec.IDMapping(containerID: high, hostID: low, size: 1), range(high + 1, count),
        ]
        return all.filter { $0.size > 0 }
    }
}
