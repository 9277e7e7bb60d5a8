import CLinux
import Glibc
import SystemPackage

/// One end of a pair of connected sockets that keep the bounds of messages. A message may carry a descriptor.
public struct Channel: ~Copyable, Sendable {
    public let descriptor: OwnedFD

    public init(adopting descriptor: consuming OwnedFD) {
        self.descriptor = descriptor
    }

    /// Both ends, for a process and the child that it is about to make.
    public struct Pair: ~Copyable {
        public var parent: Channel
        public var child: Channel

        public init() throws(SystemError) {
            var ends: [Int32] = [-1, -1]
            let kind = Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue)
            try check("socketpair") { socketpair(AF_UNIX, kind, 0, &ends) }
            parent = Channel(adopting: OwnedFD(adopting: ends[0]))
            child = Channel(adopting: OwnedFD(adopting: ends[1]))
        }

        public consuming func takeParent() -> Channel { parent }
        public consuming func takeChild() -> Channel { child }
    }

    /// Nothing but bytes; never a signal when the other end is gone, but `.brokenPipe`.
    public func send(_ bytes: [UInt8]) throws(SystemError) {
        let raw = descriptor.raw
        try check("send") { Glibc.send(raw, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }
    }

    /// Bytes, at least one, and a descriptor, which the receiver gets a copy of.
    public func send(_ bytes: [UInt8], descriptor passed: borrowing OwnedFD) throws(SystemError) {
        try sendDescriptor(passed.raw, bytes, over: descriptor.raw)
    }

    public struct Message: ~Copyable {
        public let bytes: [UInt8]
        private var descriptor: OwnedFD?

        init(bytes: [UInt8], descriptor: consuming OwnedFD?) {
            self.bytes = bytes
            self.descriptor = descriptor
        }

        public mutating func takeDescriptor() -> OwnedFD? {
            descriptor.take()
        }
    }

    /// The next message; nil when the other end is gone. Messages have at most 64 KiB.
    public func receive() throws(SystemError) -> Message? {
        var control = [UInt64](repeating: 0, count: 3)
        var received = (count: -1, control: 0, errno: Int32(0))
        let raw = descriptor.raw
        // Only what a message needs of this much memory is touched.
        let bytes = [UInt8](unsafeUninitializedCapacity: 65536) { data, length in
            control.withUnsafeMutableBytes { control in
                var vector = iovec(iov_base: data.baseAddress, iov_len: data.count)
                withUnsafeMutablePointer(to: &vector) { vector in
                    var header = msghdr()
                    header.msg_iov = vector
                    header.msg_iovlen = 1
                    header.msg_control = control.baseAddress
                    header.msg_controllen = control.count
                    var count = -1
                    repeat { count = recvmsg(raw, &header, Int32(MSG_CMSG_CLOEXEC)) } while count < 0 && Glibc.errno == EINTR
                    received = (count, header.msg_controllen, Glibc.errno)
                }
            }
            length = max(received.count, 0)
        }
        if received.count < 0 {
            // A peer that died with our message unread resets the connection; for us it is simply gone.
            if received.errno == ECONNRESET { return nil }
            throw SystemError(errno: .init(rawValue: received.errno), call: "recvmsg")
        }
        // See `sendDescriptor` for the words of the control message.
        let descriptor: OwnedFD? =
            received.control >= 20 && control[1] == rightsHeader
            ? OwnedFD(adopting: Int32(truncatingIfNeeded: control[2])) : nil
        if received.count == 0, descriptor == nil { return nil }
        return Message(bytes: bytes, descriptor: descriptor)
    }
}

/// `SOL_SOCKET` and `SCM_RIGHTS` as they lie side by side in `struct cmsghdr`.
private let rightsHeader = UInt64(UInt32(SOL_SOCKET)) | UInt64(1) << 32

/// Sends bytes and one descriptor over a connected unix socket.
///
/// The control message is three words: its length of 20 bytes, level and type (unix(7): `SCM_RIGHTS`), the descriptor.
public func sendDescriptor(_ passed: Int32, _ bytes: [UInt8], over socket: Int32) throws(SystemError) {
    var bytes = bytes
    var control: [UInt64] = [20, rightsHeader, UInt64(UInt32(bitPattern: passed))]
    try check("sendmsg") {
        bytes.withUnsafeMutableBytes { data in
            control.withUnsafeMutableBytes { control in
                var vector = iovec(iov_base: data.baseAddress, iov_len: data.count)
                return withUnsafeMutablePointer(to: &vector) { vector in
                    var header = msghdr()
                    header.msg_iov = vector
                    header.msg_iovlen = 1
                    header.msg_control = control.baseAddress
                    header.msg_controllen = control.count
                    return sendmsg(socket, &header, Int32(MSG_NOSIGNAL))
                }
            }
        }
    }
}

extension OwnedFD {
    /// A second descriptor, close-on-exec, for one that belongs to somebody else.
    public static func duplicating(_ raw: Int32) throws(SystemError) -> OwnedFD {
        OwnedFD(adopting: try check("fcntl F_DUPFD_CLOEXEC", "\(raw)") { fcntl(raw, F_DUPFD_CLOEXEC, 0) })
    }
}
