import Blocking
import Glibc
import Linux
import Networking
import Synchronization
import SystemPackage
import Testing

/// Answers every connection or datagram with the address that it came from, as the server sees it.
final class WhoAmIServer: Sendable {
    private let stop: SharedFD
    private let task: Task<Void, any Error>

    /// Listens at all addresses of the namespace, both families.
    static func start(_ port: UInt16, _ proto: TransportProtocol, in namespace: SharedFD) async throws -> WhoAmIServer {
        let (socket, stopped, stop) = try await within(namespace) {
            let socket = try makeSocketEverywhere(port, proto)
            if proto == .tcp { try check("listen") { listen(socket.raw, 64) } }
            var ends: [Int32] = [0, 0]
            try check("pipe2") { pipe2(&ends, O_CLOEXEC) }
            return (socket, SharedFD(OwnedFD(adopting: ends[0])), SharedFD(OwnedFD(adopting: ends[1])))
        }
        let task = Task {
            try await blocking { try serve(socket, proto, until: stopped) }
        }
        return WhoAmIServer(stop: stop, task: task)
    }

    private init(stop: SharedFD, task: Task<Void, any Error>) {
        self.stop = stop
        self.task = task
    }

    func finish() async throws {
        var byte: UInt8 = 0
        write(stop.raw, &byte, 1)
        try await task.value
    }

    private static func serve(_ socket: SharedFD, _ proto: TransportProtocol, until stopped: SharedFD) throws {
        while true {
            var wait = [
                pollfd(fd: socket.raw, events: Int16(POLLIN), revents: 0),
                pollfd(fd: stopped.raw, events: Int16(POLLIN), revents: 0),
            ]
            try check("poll") { poll(&wait, 2, 30_000) }
            if wait[0].revents == 0 { return }
            var name = sockaddr_in6()
            var buffer = [UInt8](repeating: 0, count: 512)
            if proto == .tcp {
                let raw = withName(&name) { accept(socket.raw, $0, $1) }
                guard raw >= 0 else { continue }
                let peer = OwnedFD(adopting: raw)
                // The client may be gone already; that is its own business.
                try? peer.writeAll(Array(text(name).utf8))
            } else {
                let count = withName(&name) { recvfrom(socket.raw, &buffer, buffer.count, 0, $0, $1) }
                guard count >= 0 else { continue }
                let reply = Array(text(name).utf8)
                withName(&name) {
                    sendto(socket.raw, reply, reply.count, 0, .init(__sockaddr__: $0.__sockaddr__), $1.pointee)
                }
            }
        }
    }

    private static func text(_ name: sockaddr_in6) -> String {
        let bytes = withUnsafeBytes(of: name.sin6_addr) { Array($0) }
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
        let address = bytes.starts(with: mapped) ? IPAddress(bytes: bytes.suffix(4)) : IPAddress(bytes: bytes)
        return address?.description ?? ""
    }
}

/// What a `WhoAmIServer` at the address says; nil when nobody answers within the limit.
func ask(
    _ address: String, _ port: UInt16, _ proto: TransportProtocol = .tcp, from namespace: SharedFD,
    milliseconds: Int = 3000
) async throws -> String? {
    let address = try #require(IPAddress(address))
    return try await within(namespace) {
        let socket = OwnedFD(adopting: try makeSocket(address.isV4 ? AF_INET : AF_INET6, proto))
        let raw = socket.raw
        var limit = timeval(tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000)
        setsockopt(raw, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(raw, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard withSocketAddress(address, port, { connect(raw, $0, $1) }) == 0 else { return nil }
        if proto == .udp, send(raw, "?", 1, 0) != 1 { return nil }
        var buffer = [UInt8](repeating: 0, count: 128)
        let count = recv(raw, &buffer, buffer.count, 0)
        return count > 0 ? String(decoding: buffer[0..<count], as: UTF8.self) : nil
    }
}

/// A UDP client that keeps its port.
struct Client: Sendable {
    private let socket: SharedFD

    static func connect(_ address: String, _ port: UInt16, from ownPort: UInt16 = 0, in namespace: SharedFD) async throws -> Client {
        let address = try #require(IPAddress(address))
        return try await within(namespace) {
            let socket = SharedFD(OwnedFD(adopting: try makeSocket(address.isV4 ? AF_INET : AF_INET6, .udp)))
            let everywhere = try #require(IPAddress(address.isV4 ? "0.0.0.0" : "::"))
            try bindSocket(socket.raw, everywhere, ownPort)
            try check("connect") { withSocketAddress(address, port) { Glibc.connect(socket.raw, $0, $1) } }
            return Client(socket: socket)
        }
    }

    /// The answer; nil when none comes within the limit.
    func ask(milliseconds: Int) async throws -> String? {
        try await blocking {
            // The host says that nobody listens once per packet; that counts as no answer.
            for _ in 0..<3 where send(socket.raw, "?", 1, 0) == 1 { break }
        }
        return try await hear(milliseconds: milliseconds)
    }

    /// What comes without being asked for.
    func hear(milliseconds: Int) async throws -> String? {
        try await blocking {
            var wait = pollfd(fd: socket.raw, events: Int16(POLLIN), revents: 0)
            try check("poll") { poll(&wait, 1, Int32(milliseconds)) }
            var buffer = [UInt8](repeating: 0, count: 128)
            let count = recv(socket.raw, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            return count > 0 ? String(decoding: buffer[0..<count], as: UTF8.self) : nil
        }
    }
}

/// Somebody who hears one packet of UDP and answers it as often as he likes.
final class Sender: Sendable {
    private let socket: SharedFD
    private let asker = Mutex(sockaddr_in6())

    static func start(_ port: UInt16, in namespace: SharedFD) async throws -> Sender {
        try await within(namespace) {
            Sender(try makeSocketEverywhere(port, .udp))
        }
    }

    private init(_ socket: SharedFD) {
        self.socket = socket
    }

    /// Whether somebody asks within the limit.
    func isAsked(milliseconds: Int = 3000) async throws -> Bool {
        try await blocking { [self] in
            var wait = pollfd(fd: socket.raw, events: Int16(POLLIN), revents: 0)
            try check("poll") { poll(&wait, 1, Int32(milliseconds)) }
            var byte: UInt8 = 0
            return asker.withLock { name in withName(&name) { recvfrom(socket.raw, &byte, 1, Int32(MSG_DONTWAIT), $0, $1) } } > 0
        }
    }

    func answer() {
        var name = asker.withLock { $0 }
        withName(&name) { sendto(socket.raw, "!", 1, 0, .init(__sockaddr__: $0.__sockaddr__), $1.pointee) }
    }
}

func makeSocket(_ family: Int32, _ proto: TransportProtocol) throws -> Int32 {
    let kind = (proto == .tcp ? SOCK_STREAM : SOCK_DGRAM).rawValue | SOCK_CLOEXEC.rawValue
    return try check("socket") { socket(family, Int32(kind), 0) }
}

/// `bind` with `SO_REUSEADDR`, as most servers do it: 0 or the errno of `bind` or `listen`.
func tryToListen(_ address: String, _ port: UInt16, _ proto: TransportProtocol) throws -> Int32 {
    let address = try #require(IPAddress(address))
    let socket = OwnedFD(adopting: try makeSocket(address.isV4 ? AF_INET : AF_INET6, proto))
    let raw = socket.raw
    var on: Int32 = 1
    setsockopt(raw, SOL_SOCKET, SO_REUSEADDR, &on, 4)
    do { try bindSocket(raw, address, port) } catch { return error.errno.rawValue }
    if proto == .tcp, listen(raw, 1) != 0 { return errno }
    return 0
}

/// Bound to all addresses of the namespace, both families.
private func makeSocketEverywhere(_ port: UInt16, _ proto: TransportProtocol) throws -> SharedFD {
    let socket = SharedFD(OwnedFD(adopting: try makeSocket(AF_INET6, proto)))
    var off: Int32 = 0
    setsockopt(socket.raw, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &off, 4)
    try bindSocket(socket.raw, try #require(IPAddress("::")), port)
    return socket
}

/// Another test's child may have copies of a socket that was closed until its program begins.
func bindSocket(_ raw: Int32, _ address: IPAddress, _ port: UInt16) throws(SystemError) {
    if withSocketAddress(address, port, { bind(raw, $0, $1) }) == 0 { return }
    awaitSpawns()
    try check("bind") { withSocketAddress(address, port) { bind(raw, $0, $1) } }
}

func withSocketAddress<T>(_ address: IPAddress, _ port: UInt16, _ body: (__CONST_SOCKADDR_ARG, socklen_t) -> T) -> T {
    var name = sockaddr_in6()
    if address.isV4 {
        withUnsafeMutableBytes(of: &name) { bytes in
            bytes.storeBytes(of: sa_family_t(AF_INET), as: sa_family_t.self)
            bytes.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
            for (index, byte) in address.bytes.enumerated() { bytes[4 + index] = byte }
        }
    } else {
        name.sin6_family = sa_family_t(AF_INET6)
        name.sin6_port = port.bigEndian
        withUnsafeMutableBytes(of: &name.sin6_addr) { $0.copyBytes(from: address.bytes) }
    }
    let size = socklen_t(address.isV4 ? 16 : 28)
    return withUnsafePointer(to: name) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body(__CONST_SOCKADDR_ARG(__sockaddr__: $0), size) }
    }
}

@discardableResult
func withName<T>(
    _ name: inout sockaddr_in6, _ body: (__SOCKADDR_ARG, UnsafeMutablePointer<socklen_t>) -> T
) -> T {
    var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
    return withUnsafeMutablePointer(to: &name) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body(__SOCKADDR_ARG(__sockaddr__: $0), &size) }
    }
}
