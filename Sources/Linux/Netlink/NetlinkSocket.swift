import CLinux
import Glibc
import SystemPackage

/// A netlink socket. It belongs for good to the network namespace of the thread that opened it, whoever uses it later.
///
/// Every call asks the kernel and waits for the whole answer, at most ten seconds per message. Not for use by two
/// threads at a time (the type is not copyable and its calls are `mutating`).
public struct NetlinkSocket: ~Copyable, Sendable {
    public enum Family: Int32, Sendable {
        /// Links, addresses, routes.
        case route = 0
        /// Who has which ports.
        case diagnostics = 4
        /// nf_tables and connection tracking.
        case netfilter = 12
    }

    private let descriptor: OwnedFD
    private var sequence: UInt32 = 0

    /// The longest datagram that is taken; the kernel sends dumps in pieces of 32 KiB at most.
    private static let longestReply = 1 << 17
    /// A dump that goes on for longer than this is given up.
    private static let mostReplies = 1 << 20

    public init(_ family: Family) throws(SystemError) {
        descriptor = try Self.open(family)
    }

    private static func open(_ family: Family) throws(SystemError) -> OwnedFD {
        let raw = try check("socket", "netlink") {
            socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), family.rawValue)
        }
        let descriptor = OwnedFD(adopting: raw)
        // `struct sockaddr_nl`: the kernel chooses the number, now and not with the first message.
        var name: [UInt32] = [UInt32(AF_NETLINK), 0, 0]
        try check("bind", "netlink") {
            name.withUnsafeMutableBytes {
                $0.withMemoryRebound(to: sockaddr.self) {
                    bind(raw, __CONST_SOCKADDR_ARG(__sockaddr__: $0.baseAddress), 12)
                }
            }
        }
        var timeout = timeval(tv_sec: 10, tv_usec: 0)
        try check("setsockopt", "SO_RCVTIMEO") {
            setsockopt(raw, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        }
        // Kernels without one of these options do their work all the same, with less to say about errors.
        for option in [Option.capAcknowledge, .extendedAcknowledge, .strictDumps] {
            var on: Int32 = 1
            setsockopt(raw, Option.level, option.rawValue, &on, socklen_t(MemoryLayout<Int32>.size))
        }
        return descriptor
    }

    /// The number that the kernel knows the socket by.
    public func port() throws(SystemError) -> UInt32 {
        let raw = descriptor.raw
        // `struct sockaddr_nl`: u16 family, u16, u32 port, u32 groups.
        var name: [UInt32] = [0, 0, 0]
        var size = socklen_t(12)
        try check("getsockname", "netlink") {
            name.withUnsafeMutableBytes {
                $0.withMemoryRebound(to: sockaddr.self) {
                    getsockname(raw, __SOCKADDR_ARG(__sockaddr__: $0.baseAddress), &size)
                }
            }
        }
        return name[1]
    }

    /// Sends a change and waits until the kernel has made it.
    public mutating func perform(_ message: NetlinkMessage) throws(SystemError) {
        let sequence = try send(message, flags: .acknowledge)
        while true {
            for reply in try receive() where reply.sequence == sequence && reply.type == NetlinkReply.error {
                if let failure = try reply.failure(purpose: message.purpose) { throw failure }
                return
            }
        }
    }

    /// Asks for one thing; the answer's messages up to the acknowledgement.
    public mutating func query(_ message: NetlinkMessage) throws(SystemError) -> [NetlinkReply] {
        let sequence = try send(message, flags: .acknowledge)
        return try collect(sequence, purpose: message.purpose)
    }

    /// Asks for a list. A list that changed while it was read is read again.
    public mutating func dump(
        _ message: NetlinkMessage, keeping keep: (NetlinkReply) -> Bool = { _ in true }
    ) throws(SystemError) -> [NetlinkReply] {
        for _ in 0..<5 {
            let sequence = try send(message, flags: .dump)
            let replies = try collect(sequence, purpose: message.purpose) {
                keep($0) || $0.flags.contains(.dumpInterrupted)
            }
            if !replies.contains(where: { $0.flags.contains(.dumpInterrupted) }) { return replies }
        }
        throw SystemError(errno: .resourceTemporarilyUnavailable, call: "netlink", subject: message.purpose)
    }

    /// Sends several messages as one datagram, the last of `messages` acknowledged. The kernel handles a batch before
    /// `send` returns, so that whatever it has to say waits already. Throws the first failure.
    mutating func performBatch(
        begin: NetlinkMessage, _ messages: [NetlinkMessage], end: NetlinkMessage, purpose: String
    )
        throws(SystemError)
    {
        var datagram: [UInt8] = []
        var purposes: [UInt32: String] = [:]
        for (index, message) in ([begin] + messages + [end]).enumerated() {
            guard message.isValid else {
                throw SystemError(errno: Errno(rawValue: EMSGSIZE), call: "netlink", subject: message.purpose)
            }
            sequence &+= 1
            purposes[sequence] = index == 0 ? purpose : message.purpose
            datagram += message.bytes(sequence: sequence, adding: index == messages.count ? .acknowledge : [])
        }
        let last = sequence &- 1
        try send(datagram, purpose: purpose)
        var acknowledged = false
        var firstFailure: SystemError?
        while let replies = try receiveWaiting() {
            for reply in replies where reply.type == NetlinkReply.error {
                guard let purpose = purposes[reply.sequence] else { continue }
                if let failure = try reply.failure(purpose: purpose) {
                    firstFailure = firstFailure ?? failure
                } else if reply.sequence == last {
                    acknowledged = true
                }
            }
        }
        if let firstFailure { throw firstFailure }
        guard acknowledged else {
            throw SystemError(errno: .ioError, call: "netlink", subject: "\(purpose): no answer")
        }
    }

    private mutating func send(_ message: NetlinkMessage, flags: NetlinkFlags) throws(SystemError) -> UInt32 {
        guard message.isValid else {
            throw SystemError(errno: Errno(rawValue: EMSGSIZE), call: "netlink", subject: message.purpose)
        }
        sequence &+= 1
        try send(message.bytes(sequence: sequence, adding: flags), purpose: message.purpose)
        return sequence
    }

    private func send(_ datagram: [UInt8], purpose: String) throws(SystemError) {
        let raw = descriptor.raw
        // The send buffer holds 200 KiB by default; root may take what a batch needs.
        if datagram.count > 100_000 {
            var size = Int32(clamping: datagram.count * 2)
            try check("setsockopt", "SO_SNDBUFFORCE") {
                setsockopt(raw, SOL_SOCKET, SO_SNDBUFFORCE, &size, socklen_t(MemoryLayout<Int32>.size))
            }
        }
        try check("send", purpose) { datagram.withUnsafeBytes { Glibc.send(raw, $0.baseAddress, $0.count, 0) } }
    }

    /// All messages with the number up to the end mark or the acknowledgement.
    private func collect(
        _ sequence: UInt32, purpose: String, keeping keep: (NetlinkReply) -> Bool = { _ in true }
    ) throws(SystemError) -> [NetlinkReply] {
        var collected: [NetlinkReply] = []
        while collected.count < Self.mostReplies {
            for reply in try receive() where reply.sequence == sequence {
                switch reply.type {
                case NetlinkReply.error, NetlinkReply.done:
                    // The end mark of a dump holds a code as well; an empty one means success.
                    if !reply.payload.isEmpty, let failure = try reply.failure(purpose: purpose) { throw failure }
                    return collected
                default:
                    if keep(reply) { collected.append(reply) }
                }
            }
        }
        throw SystemError(errno: Errno(rawValue: EMSGSIZE), call: "netlink", subject: purpose)
    }

    private func receive() throws(SystemError) -> [NetlinkReply] {
        try NetlinkReply.parse(try receive(flags: 0))
    }

    /// What is there already; nil when nothing is.
    private func receiveWaiting() throws(SystemError) -> [NetlinkReply]? {
        do {
            return try NetlinkReply.parse(try receive(flags: Int32(MSG_DONTWAIT)))
        } catch {
            if error.errno == .resourceTemporarilyUnavailable { return nil }
            throw error
        }
    }

    private func receive(flags: Int32) throws(SystemError) -> [UInt8] {
        let raw = descriptor.raw
        var failure: SystemError?
        let bytes = [UInt8](unsafeUninitializedCapacity: Self.longestReply) { buffer, count in
            do throws(SystemError) {
                let length = try check("recv", "netlink") {
                    recv(raw, buffer.baseAddress, buffer.count, flags | Int32(MSG_TRUNC))
                }
                // With MSG_TRUNC the answer is the true length.
                guard length <= buffer.count else {
                    throw SystemError(errno: Errno(rawValue: EMSGSIZE), call: "recv", subject: "netlink")
                }
                count = length
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    private enum Option: Int32 {
        case capAcknowledge = 10
        case extendedAcknowledge = 11
        case strictDumps = 12
        static let level: Int32 = 270  // SOL_NETLINK
    }
}
