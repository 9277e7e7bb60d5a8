extension RouteSocket {
    /// Sends what is for a hardware address out of the bridge by this port for good, wherever it seems to come from.
    public mutating func setWay(to hardwareAddress: [UInt8], port: UInt32) throws(SystemError) {
        try socket.perform(.setWay(to: hardwareAddress, port: port))
    }
}

/// `struct ndmsg`: u8 family, u8, u16, u32 link, u16 state, u8 flags, u8 type.
private enum Neighbour {
    static let hardwareAddress: UInt16 = 2
    /// NUD_NOARP
    static let isKnown: UInt16 = 0x40
    /// NTF_MASTER and NTF_STICKY
    static let ofMaster: UInt8 = 0x04
    static let staysThere: UInt8 = 0x40
}

extension NetlinkMessage {
    static func setWay(to hardwareAddress: [UInt8], port: UInt32) -> NetlinkMessage {
        // AF_BRIDGE
        let header = [7, 0, 0, 0] + port.nativeBytes + Neighbour.isKnown.nativeBytes + [Neighbour.ofMaster | Neighbour.staysThere, 0]
        var message = NetlinkMessage(
            type: RouteSocket.Message.newNeighbour, flags: [.request, .create, .replace],
            purpose: "set the way to a hardware address by link \(port)", familyHeader: header)
        message.put(Neighbour.hardwareAddress, hardwareAddress)
        return message
    }
}
