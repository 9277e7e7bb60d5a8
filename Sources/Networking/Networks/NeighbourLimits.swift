import Linux
import Logging
import Synchronization

/// How many neighbours the kernel keeps, of all its network namespaces together: 1,024 of each family unless somebody says
/// otherwise. Each container is one for the host and for whoever talks to it, and has some itself: the host, and groups that it
/// belongs to. So it is all containers of the host that count, each on each of its networks.
struct NeighbourLimits: Sendable {
    /// So many have room.
    private(set) var room = 1024 / perContainer
    /// By network.
    private var counts: [String: Int] = [:]

    private static let perContainer = 8

    var containers: Int { counts.values.reduce(0, +) }

    mutating func note(_ containers: Int, of networkID: String) {
        counts[networkID] = containers == 0 ? nil : containers
    }

    /// Whether there has to be more room, and is from then on.
    mutating func isPassed() -> Bool {
        if containers <= room { return false }
        room = 2 * containers
        return true
    }

    /// The most there may be, and the number from which on the oldest go first.
    var wanted: [(name: String, limit: Int)] {
        [("gc_thresh3", room * Self.perContainer), ("gc_thresh2", room * Self.perContainer * 3 / 4)]
    }

    /// Raises the limits of the host. Never lowers one. Blocks.
    func apply() throws {
        for family in ["ipv4", "ipv6"] {
            for (name, limit) in wanted {
                let setting = "\(family)/neigh/default/\(name)"
                // Not there without the family, and only in the first network namespace.
                if let present = try NetworkSettings.read(setting), present < limit { try NetworkSettings.write(setting, limit) }
            }
        }
    }
}

/// The limits that all networks of an engine share.
final class Neighbourhood: Sendable {
    private let limits = Mutex(NeighbourLimits())

    var containers: Int { limits.withLock { $0.containers } }

    /// So many are on that network now.
    func note(_ containers: Int, of networkID: String) { limits.withLock { $0.note(containers, of: networkID) } }

    /// What the host has to be told; nil when there is room.
    func outgrown() -> NeighbourLimits? { limits.withLock { $0.isPassed() ? $0 : nil } }
}

extension Network {
    /// Sees to it that the kernel keeps enough neighbours for the containers.
    func makeRoomForNeighbours() async {
        guard let limits = parts.neighbours.outgrown() else { return }
        do {
            try await parts.host.run { try limits.apply() }
        } catch {
            parts.logger.warning("the kernel keeps fewer neighbours than containers may have", metadata: ["error": "\(error)"])
        }
    }
}
