import Linux
import Logging
import Store

/// One network's part in a move of a container's gateway.
extension Network {
    /// What a container has published: ports of the host, and those that are open at its own addresses.
    struct Publication: Sendable {
        var ports: [PublishedPort] = []
        var open: [PublishedPort]?
        /// Whether ports that were had before were given back for these.
        var isNew = false
        var isEmpty: Bool { ports.isEmpty && open == nil }
    }

    /// Makes the endpoint the container's gateway with these ports, or an ordinary one without any; one that is on its way out stays
    /// as it is. The caller saves it, and says when the default route has followed.
    func change(_ containerID: String, isGateway: Bool, _ publication: Publication = Publication(), isMoving: Bool = true) throws -> EndpointInfo {
        guard var info = endpoints[containerID]?.info, endpoints[containerID]?.ending == nil else {
            throw NetworkError.notReserved(containerID: containerID)
        }
        info.isGateway = isGateway
        (info.ports, info.openPorts) = (publication.ports, publication.open)
        info.isMoving = isMoving ? true : nil
        endpoints[containerID]?.info = info
        parts.names.add(info)
        return info
    }

    /// What a container publishes here that was published by another network: the same, where both see ports alike, and what it
    /// asks for otherwise. The ports that it had are given back then, and had again when it throws.
    func publication(_ wanted: [PublishedPort], after before: EndpointInfo?, on old: Network?, of containerID: String) async throws -> Publication {
        guard publishesPorts else { return Publication() }
        let had = Publication(ports: before?.ports ?? [], open: before?.openPorts)
        if !had.isEmpty, let old = await old?.definition, old.publishesAlike(definition) { return had }
        let ports = try wanted.flatMap(publishable)
        parts.ports.release(containerID)
        do {
            let taken = try await parts.ports.take(ports, for: containerID, withIPv6: definition.ipv6 != nil)
            return Publication(ports: taken, open: openPorts(wanted), isNew: true)
        } catch {
            if let before { await old?.holdAgain(before) }
            throw error
        }
    }

    /// The default route has followed a `change`.
    func noteArrival(_ containerID: String) async {
        guard var info = endpoints[containerID]?.info, info.isMoving != nil, isCurrent(info) else { return }
        info.isMoving = nil
        endpoints[containerID]?.info = info
        do {
            try await saveChange(info)
        } catch {
            // The next engine makes the same move once more.
            parts.logger.warning("a move of a gateway is still noted", metadata: ["container": "\(containerID)", "error": "\(error)"])
        }
    }

    /// Holds an endpoint's ports of the host that were given back a moment ago, as long as it is there.
    func holdAgain(_ info: EndpointInfo) async {
        guard isCurrent(info) else { return }
        let (id, withIPv6) = (info.containerID, definition.ipv6 != nil)
        parts.ports.release(id)
        do {
            try parts.ports.restore(info.ports, for: id, withIPv6: withIPv6)
            for failure in try await parts.ports.retake(info.ports, for: id, withIPv6: withIPv6) {
                parts.logger.warning("a published port could not be held again", metadata: ["container": "\(id)", "error": "\(failure)"])
            }
        } catch {
            parts.logger.error("published ports could not be held again", metadata: ["container": "\(id)", "error": "\(error)"])
        }
        if !isCurrent(info) { giveBack(info.ports, of: id) }
    }

    /// Gives back ports of the host that a container had here.
    func giveBack(_ ports: [PublishedPort], of containerID: String) {
        do {
            try parts.ports.giveBack(ports, of: containerID, withIPv6: definition.ipv6 != nil)
        } catch {
            parts.logger.error("published ports could not be given back", metadata: ["container": "\(containerID)", "error": "\(error)"])
        }
    }
}

extension NetworkDefinition {
    /// Whether the same ports of the host, and the same of containers, are open where both networks are asked to publish the same.
    fileprivate func publishesAlike(_ other: NetworkDefinition) -> Bool {
        families == other.families && routedFamilies == other.routedFamilies && settings.publishAddress == other.settings.publishAddress
    }
}
