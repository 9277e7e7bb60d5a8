import Linux
import Logging
import Store

/// A move of a container's gateway that is written down.
struct GatewayMove: Sendable {
    let containerID: String
    /// Nil where there is none.
    let old: Network?
    let new: Network?
    /// The old gateway, as it was.
    let before: EndpointInfo?
    let publication: Network.Publication
    /// The endpoints as they are to be; nil where nothing has been changed.
    var left: EndpointInfo?
    var entered: EndpointInfo?
}

extension Networks {
    /// Makes another endpoint of a running container the one that its default route and its published ports belong to: those
    /// that it has, or `wanted` where nothing of them is published, or in another way. Nil for either when there is none. Everything
    /// is as before when it throws.
    public func moveGateway(
        containerID: String, from old: String?, to new: String?, publishing wanted: [PublishedPort], pid: Int32
    ) async throws {
        let namespace = try await host.run { SharedFD(try NetworkNamespace.open(pid: pid)) }
        try await moveGateway(containerID: containerID, from: old, to: new, publishing: wanted, namespace: namespace)
    }

    func moveGateway(
        containerID: String, from old: String?, to new: String?, publishing wanted: [PublishedPort], namespace: SharedFD
    ) async throws {
        try await make(try await noteMove(containerID: containerID, from: old, to: new, publishing: wanted), namespace)
    }

    /// Takes the ports and writes the endpoints down; on the host nothing else changes yet.
    func noteMove(containerID: String, from old: String?, to new: String?, publishing wanted: [PublishedPort]) async throws -> GatewayMove {
        let (old, new) = (old.flatMap { networks[$0] }, new.flatMap { networks[$0] })
        let before = await old?.endpoint(containerID)
        let publication = try await new?.publication(wanted, after: before, on: old, of: containerID) ?? Network.Publication()
        var move = GatewayMove(containerID: containerID, old: old, new: new, before: before, publication: publication)
        do {
            if before != nil { move.left = try await old?.change(containerID, isGateway: false) }
            move.entered = try await new?.change(containerID, isGateway: true, publication)
            try await database.endpoints.update([move.left, move.entered].compactMap { $0?.record })
            return move
        } catch {
            await takeBack(move, nil)
            throw error
        }
    }

    /// Moves ports and routes.
    func make(_ move: GatewayMove, _ namespace: SharedFD) async throws {
        let id = move.containerID
        let link = await link(of: (move.entered, move.new), or: (move.left, move.old))
        do {
            try await host.onOwnThread { [firewall = parts.firewall] in
                try firewall.move(from: move.before, to: move.entered)
                try NetworkNamespace.enter(namespace.raw)
                try link?.moveDefaultRoutes()
            }
            // Ended meanwhile: what was opened too late for that has to go as well.
            if let entered = move.entered, await move.new?.isCurrent(entered) != true { throw NetworkError.notReserved(containerID: id) }
        } catch {
            await takeBack(move, namespace)
            throw error
        }
        if move.publication.ports.isEmpty, let before = move.before { await move.old?.giveBack(before.ports, of: id) }
        for network in [move.old, move.new] { await network?.noteArrival(id) }
        if let before = move.before { await move.old?.forgetConnections(before) }
        if let entered = move.entered, entered.ports != move.before?.ports { await move.new?.forgetConnections(entered) }
    }

    /// Undoes a move, on the host too where its namespace is given. What cannot be undone keeps nothing else from it, and an endpoint
    /// that has ended gets nothing back.
    private func takeBack(_ move: GatewayMove, _ namespace: SharedFD?) async {
        let id = move.containerID
        let (entered, back) = await changeBack(move, isMoving: namespace != nil)
        await attempt("a move of a gateway that failed is still noted", id) {
            try await self.database.endpoints.update([entered, back].compactMap { $0?.record })
        }
        if move.publication.isNew || back == nil { await move.new?.giveBack(move.publication.ports, of: id) }
        if let back {
            if move.publication.isNew { await move.old?.holdAgain(back) }
        } else if let before = move.before {
            await move.old?.giveBack(before.ports, of: id)
        }
        guard let namespace else { return }
        await attempt("published ports are not open as they were", id) {
            try await self.host.run { [firewall = self.parts.firewall] in try firewall.move(from: move.entered, to: back) }
        }
        let link = await link(of: (back, move.old), or: (entered, move.new))
        await attempt("the default routes of a container are not as they were", id) {
            try await self.host.onOwnThread {
                try NetworkNamespace.enter(namespace.raw)
                try link?.moveDefaultRoutes()
            }
        }
        for network in [move.old, move.new] { await network?.noteArrival(id) }
        if let back, let old = move.old, await !old.isCurrent(back) {
            await old.closePorts(back)
            await old.giveBack(back.ports, of: id)
        }
    }

    /// The endpoints as they were, where they are still there.
    private func changeBack(_ move: GatewayMove, isMoving: Bool) async -> (entered: EndpointInfo?, back: EndpointInfo?) {
        var (entered, back): (EndpointInfo?, EndpointInfo?)
        // Each fails only where the endpoint has ended, and has nothing to get back.
        if move.entered != nil { entered = try? await move.new?.change(move.containerID, isGateway: false, isMoving: isMoving) }
        if move.left != nil, let before = move.before {
            let publication = Network.Publication(ports: before.ports, open: before.openPorts)
            back = try? await move.old?.change(move.containerID, isGateway: true, publication, isMoving: isMoving)
        }
        return (entered, back)
    }

    /// Of the first that is there.
    private func link(of first: (EndpointInfo?, Network?), or second: (EndpointInfo?, Network?)) async -> EndpointLink? {
        for (endpoint, network) in [first, second] {
            if let endpoint, let network { return EndpointLink(endpoint: endpoint, network: await network.definition) }
        }
        return nil
    }

    private func attempt(_ failure: Logger.Message, _ containerID: String, _ body: () async throws -> Void) async {
        do {
            try await body()
        } catch {
            logger.error(failure, metadata: ["container": "\(containerID)", "error": "\(error)"])
        }
    }

    /// Leads the default routes of a running container where the database says, after an engine that was killed while it moved them.
    public func settleRoutes(containerID: String, pid: Int32) async throws {
        let namespace = try await host.run { SharedFD(try NetworkNamespace.open(pid: pid)) }
        try await settleRoutes(containerID: containerID, namespace: namespace)
    }

    func settleRoutes(containerID: String, namespace: SharedFD) async throws {
        let all = await endpoints(containerID: containerID)
        let moving = all.filter { $0.isMoving != nil }
        guard let endpoint = all.first(where: { $0.isGateway && !$0.isInternal }) ?? moving.first, let network = networks[endpoint.networkID],
            !moving.isEmpty
        else { return }
        let link = EndpointLink(endpoint: endpoint, network: await network.definition)
        try await host.onOwnThread {
            try NetworkNamespace.enter(namespace.raw)
            try link.moveDefaultRoutes()
        }
        for one in moving { await networks[one.networkID]?.noteArrival(containerID) }
    }
}
