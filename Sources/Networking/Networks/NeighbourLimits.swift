import Linux
import Logging

/// How many neighbours the kernel keeps, of all its network namespaces together: 1,024 of each family unless somebody says
/// otherwise. Each container is one for the host and for whoever talks to it, and has some itself: the host, and groups that it
/// belongs to.
struct NeighbourLimits: Sendable {
    /// So many containers have room.
    private(set) var room = 1024 / perContainer

    private static let perContainer = 8

    /// Whether there has to be more room, and is from then on.
    mutating func isPassed(by containers: Int) -> Bool {
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

extension Network {
    /// Sees to it that the kernel keeps enough neighbours for the containers.
    func makeRoomForNeighbours() async {
        guard neighbourLimits.isPassed(by: endpoints.count) else { return }
        do {
            try await parts.host.run { [neighbourLimits] in try neighbourLimits.apply() }
        } catch {
            parts.logger.warning("the kernel keeps fewer neighbours than containers may have", metadata: ["error": "\(error)"])
        }
    }
}
