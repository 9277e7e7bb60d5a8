import Linux
import SystemPackage

/// Why a probe over the network has failed.
struct ProbeFailure: Error, CustomStringConvertible {
    let description: String
    var isOutOfTime = false
}

/// A port that a probe connects to: `5432`, `localhost:5432`, `[::1]:5432`. Names besides `localhost` are not looked up.
struct ProbeTarget: Sendable, Equatable {
    let addresses: [IPAddress]
    let port: UInt16
    /// As the user wrote it.
    let text: String

    init(_ text: String, standardPort: UInt16? = nil) throws(EngineError) {
        let isBare = !text.isEmpty && text.allSatisfy { $0.isASCII && $0.isNumber } && standardPort == nil
        var host = isBare ? "localhost" : text
        var port = standardPort
        if isBare {
            port = UInt16(text)
        } else if !text.hasSuffix("]"), let colon = text.lastIndex(of: ":"), !text[..<colon].contains(":") || text[..<colon].hasSuffix("]") {
            host = String(text[..<colon])
            port = UInt16(text[text.index(after: colon)...])
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        let found = host == "localhost" ? ["127.0.0.1", "::1"].compactMap { IPAddress($0) } : IPAddress(host).map { [$0] } ?? []
        guard let port, port > 0, !found.isEmpty else {
            throw EngineError(.invalidArgument, "invalid health check: \"\(text)\" is no port, nor an address or localhost with a port")
        }
        (addresses, self.port, self.text) = (found, port, text)
    }

    struct Connected {
        let socket: InternetSocket
        let description: String
    }

    /// Blocks; in the network of the calling thread.
    func connect(deadline: ContinuousClock.Instant) throws -> Connected {
        var failure = ProbeFailure(description: "no address")
        for address in addresses {
            do {
                let socket = try InternetSocket(.tcp, address.bytes.count == 4 ? .v4 : .v6)
                try socket.connect(SocketAddress(address, port: port))
                guard try socket.wait(forReading: false, milliseconds: deadline.milliseconds) else {
                    throw ProbeFailure(description: "", isOutOfTime: true)
                }
                try socket.finishConnecting()
                return Connected(socket: socket, description: "connected to \(address):\(port)")
            } catch let error as SystemError {
                failure = ProbeFailure(description: "dial tcp \(address):\(port): \("\(error.errno)".lowercased())")
            }
        }
        throw failure
    }
}

extension ContinuousClock.Instant {
    /// What is left until then, at least one.
    fileprivate var milliseconds: Int32 {
        let (seconds, attoseconds) = (self - .now).components
        return Int32(clamping: max(1, seconds * 1000 + attoseconds / 1_000_000_000_000_000))
    }
}

/// A page that tells by its status whether a container is healthy.
struct HTTPProbe: Sendable, Equatable {
    let target: ProbeTarget
    let host: String
    let path: String
    private static let longestHead = 16 << 10

    /// `http://localhost:8080/health`
    init(_ text: String) throws(EngineError) {
        guard text.hasPrefix("http://"), text.utf8.allSatisfy({ $0 > 32 && $0 < 127 }), !text.contains("#") else {
            throw EngineError(.invalidArgument, "invalid health check: \"\(text)\" is not of the form http://HOST:PORT/PATH")
        }
        let rest = text.dropFirst("http://".count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard !authority.contains("@") else {
            throw EngineError(.invalidArgument, "invalid health check: a user name in \"\(text)\" is not understood")
        }
        host = String(authority)
        let path = rest[authority.endIndex...]
        self.path = path.hasPrefix("/") ? String(path) : "/\(path)"
        target = try ProbeTarget(host, standardPort: 80)
    }

    /// The first line of the answer. Blocks; in the network of the calling thread.
    func run(deadline: ContinuousClock.Instant) throws -> String {
        let socket = try target.connect(deadline: deadline).socket
        let request = Array("GET \(path) HTTP/1.1\r\nHost: \(host)\r\nUser-Agent: skiff-health\r\nAccept: */*\r\nConnection: close\r\n\r\n".utf8)
        var sent = 0
        do {
            while sent < request.count {
                guard try socket.wait(forReading: false, milliseconds: deadline.milliseconds) else {
                    throw ProbeFailure(description: "", isOutOfTime: true)
                }
                sent += try socket.write(request[sent...])
            }
            let line = try firstLine(socket, deadline)
            let words = line.split(separator: " ", maxSplits: 2)
            guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else {
                throw ProbeFailure(description: "the answer is not HTTP: \(line.prefix(200))")
            }
            guard (200..<400).contains(status) else { throw ProbeFailure(description: line) }
            return line
        } catch let error as SystemError {
            throw ProbeFailure(description: "\(host): \("\(error.errno)".lowercased())")
        }
    }

    private func firstLine(_ socket: InternetSocket, _ deadline: ContinuousClock.Instant) throws -> String {
        var head: [UInt8] = []
        while !head.contains(UInt8(ascii: "\n")) {
            guard ContinuousClock.now < deadline, try socket.wait(forReading: true, milliseconds: deadline.milliseconds) else {
                throw ProbeFailure(description: "", isOutOfTime: true)
            }
            guard let bytes = try socket.read(limit: 4096) else { continue }
            guard !bytes.isEmpty, head.count < Self.longestHead else {
                throw ProbeFailure(description: "the connection ended before the answer")
            }
            head += bytes
        }
        let line = head.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
        return String(decoding: line, as: UTF8.self)
    }
}
