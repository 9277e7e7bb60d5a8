import SystemPackage

/// The most that leaves a device, kept by a token bucket (tc-tbf(8)).
public struct RateLimit: Sendable, Equatable {
    public let bytesPerSecond: UInt64
    /// What may leave at once after a pause.
    public let burst: UInt32
    /// What waits at most; the rest is dropped.
    public let queue: UInt32

    /// A hundredth of a second at once, and a tenth that waits, but room for some packets of the device.
    public init(bytesPerSecond: UInt64, mtu: UInt32) {
        let packet = UInt64(mtu) + 64
        self.bytesPerSecond = bytesPerSecond
        burst = UInt32(clamping: max(bytesPerSecond / 100, 8 * packet))
        queue = UInt32(clamping: max(bytesPerSecond / 10, 32 * packet) + UInt64(burst))
    }
}

extension RouteSocket {
    /// Lets no more than that leave the device; replaces an earlier limit without losing a packet.
    public mutating func limitRate(_ link: UInt32, _ limit: RateLimit) throws(SystemError) {
        try socket.perform(.tokenBucket(link, limit))
    }

    /// Not an error when there is no limit.
    public mutating func removeRateLimit(_ link: UInt32) throws(SystemError) {
        try deleteDiscipline(link, parent: TrafficControl.root)
    }

    /// Leads everything that comes in by a device through another one (of the kind `ifb`), where it may be limited as it
    /// leaves, and back. Replaces an earlier one.
    public mutating func redirectReceived(_ link: UInt32, through other: UInt32) throws(SystemError) {
        try stopRedirecting(link)
        try socket.perform(.ingress(link))
        try socket.perform(.redirect(link, to: other))
    }

    /// Not an error when nothing is redirected.
    public mutating func stopRedirecting(_ link: UInt32) throws(SystemError) {
        try deleteDiscipline(link, parent: TrafficControl.ingress)
    }

    /// A device for `redirectReceived`.
    public mutating func createRedirector(_ name: String, mtu: UInt32) throws(SystemError) {
        var message = NetlinkMessage.link(RouteSocket.Message.newLink, [.create, .exclusive], "create link \(name)", flags: LinkFlags.up)
        message.put(LinkAttribute.name, name)
        message.put(LinkAttribute.mtu, mtu)
        message.nest(LinkAttribute.info) { $0.put(LinkAttribute.infoKind, "ifb") }
        try socket.perform(message)
    }

    private mutating func deleteDiscipline(_ link: UInt32, parent: UInt32) throws(SystemError) {
        do {
            try socket.perform(.discipline(TrafficControl.deleteDiscipline, [], link, handle: 0, parent: parent, "stop limiting link \(link)"))
        } catch {
            // No such discipline, or no such device any more.
            if error.errno != .noSuchFileOrDirectory, error.errno != .operationNotSupportedByDevice { throw error }
        }
    }
}

private enum TrafficControl {
    static let newDiscipline: UInt16 = 36
    static let deleteDiscipline: UInt16 = 37
    static let newFilter: UInt16 = 44
    static let root: UInt32 = 0xffff_ffff
    static let ingress: UInt32 = 0xffff_fff1
    static let ingressHandle: UInt32 = 0xffff_0000
    static let ownHandle: UInt32 = 0x0001_0000

    static let kind: UInt16 = 1
    static let options: UInt16 = 2
    static let ethernet: UInt8 = 1
}

extension NetlinkMessage {
    /// `struct tcmsg`: u8 family, 3 bytes, i32 link, u32 handle, parent, info.
    fileprivate static func discipline(
        _ type: UInt16, _ flags: NetlinkFlags, _ link: UInt32, handle: UInt32, parent: UInt32, info: UInt32 = 0, _ purpose: String
    ) -> NetlinkMessage {
        NetlinkMessage(
            type: type, flags: flags.union(.request), purpose: purpose,
            familyHeader: [0, 0, 0, 0] + link.nativeBytes + handle.nativeBytes + parent.nativeBytes + info.nativeBytes)
    }

    static func tokenBucket(_ link: UInt32, _ limit: RateLimit) -> NetlinkMessage {
        var message = discipline(
            TrafficControl.newDiscipline, [.create, .replace], link, handle: TrafficControl.ownHandle, parent: TrafficControl.root,
            "limit the rate of link \(link)")
        message.put(TrafficControl.kind, "tbf")
        message.nest(TrafficControl.options) { options in
            // `struct tc_ratespec`: u8 cell log, u8 kind of link, u16 overhead, i16 alignment, u16 least size, u32 rate.
            let rate = [0, TrafficControl.ethernet, 0, 0, 0, 0, 0, 0] + UInt32(clamping: limit.bytesPerSecond).nativeBytes
            let noPeak = [UInt8](repeating: 0, count: 12)
            // `struct tc_tbf_qopt`: rate, peak rate, u32 queue, u32 bucket as time (not used, see below), u32 mtu.
            options.put(1, rate + noPeak + limit.queue.nativeBytes + UInt32(0).nativeBytes + UInt32(0).nativeBytes)
            if limit.bytesPerSecond > UInt32.max { options.put(4, limit.bytesPerSecond) }
            // The bucket in bytes.
            options.put(6, limit.burst)
        }
        return message
    }

    fileprivate static func ingress(_ link: UInt32) -> NetlinkMessage {
        var message = discipline(
            TrafficControl.newDiscipline, [.create, .exclusive], link, handle: TrafficControl.ingressHandle, parent: TrafficControl.ingress,
            "look at what comes in by link \(link)")
        message.put(TrafficControl.kind, "ingress")
        return message
    }

    static func redirect(_ link: UInt32, to other: UInt32) -> NetlinkMessage {
        // Priority 1 in the upper half; in the lower one ETH_P_ALL, in network order.
        let info: UInt32 = 1 << 16 | UInt32(UInt16(3).bigEndian)
        var message = discipline(
            TrafficControl.newFilter, [.create, .exclusive], link, handle: 0, parent: TrafficControl.ingressHandle, info: info,
            "redirect what comes in by link \(link)")
        message.put(TrafficControl.kind, "u32")
        message.nest(TrafficControl.options) { options in
            options.put(1, TrafficControl.ownHandle | 1)
            options.nest(7) { actions in
                actions.nest(1) { action in
                    action.put(TrafficControl.kind, "mirred")
                    action.nest(TrafficControl.options) { mirror in
                        let (stolen, egressRedirect): (UInt32, UInt32) = (4, 1)
                        // `struct tc_mirred`: u32 index, capabilities, action, references, bindings; what, whereto.
                        mirror.put(2, [0, 0, stolen, 0, 0, egressRedirect, other].flatMap(\.nativeBytes))
                    }
                }
            }
            // `struct tc_u32_sel`, the last one of its list, with one key that everything matches.
            let (terminal, keys): (UInt8, UInt8) = (1, 1)
            options.put(5, [terminal, 0, keys, 0] + [UInt8](repeating: 0, count: 12 + 16))
        }
        return message
    }
}
