import Linux
import OCI

/// Moves interfaces of the host into a container's network namespace, with their permanent addresses, and sets them up.
struct NetDeviceMove {
    let devices: [RuntimeSpec.NetDevice]

    func run(into namespace: HeldFD) throws {
        var host = try RouteSocket()
        // A socket belongs to the namespace that it was made in.
        let own = try NetworkNamespace.current()
        try NetworkNamespace.enter(namespace.fd.raw)
        let made = Result { try HeldRouteSocket() }
        try NetworkNamespace.enter(own.raw)
        let container = try made.get()
        for device in devices { try move(device, &host, container, namespace) }
    }

    private func move(
        _ device: RuntimeSpec.NetDevice, _ host: inout RouteSocket, _ container: HeldRouteSocket, _ namespace: HeldFD
    ) throws {
        func refusal(_ text: String) -> LaunchError { LaunchError(message: "netDevices \(device.hostName): \(text)") }
        do {
            guard let link = try host.link(named: device.hostName) else { throw refusal("no such network device") }
            let addresses = try host.permanentAddresses(of: link.index)
            let name = device.name ?? device.hostName
            let before = try container.socket.links()
            // The kernel would move first and then find that the name is taken.
            if before.contains(where: { $0.name == name }) { throw refusal("\(name) exists in the container already") }
            try host.move(link.index, to: namespace.fd, name: name)
            let known = Set(before.map(\.index))
            guard let moved = try container.socket.links().first(where: { !known.contains($0.index) }) else {
                throw refusal("it is not in the container after the move")
            }
            for address in addresses { try container.socket.addAddress(address, to: moved.index) }
            try container.socket.setUp(moved.index)
        } catch let error as SystemError {
            throw refusal("\(error)")
        }
    }
}

/// A socket that may come out of a closure.
private final class HeldRouteSocket {
    var socket: RouteSocket

    init() throws(SystemError) {
        socket = try RouteSocket()
    }
}
