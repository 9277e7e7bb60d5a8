import Linux

/// Who wants an answer, and how it gets there.
struct NameAsker {
    enum Way {
        case datagram(InternetSocket, SocketAddress)
        case stream(NameClient)
    }

    let containerID: String
    let way: Way
}

/// A client that has come by TCP: questions and answers with two bytes of length in front. Used by the server's thread.
final class NameClient {
    let containerID: String
    let socket: InternetSocket
    var token: UInt64 = 0
    private(set) var deadline: Int64
    private var input: [UInt8] = []
    /// Where the first question begins that was not taken.
    private var taken = 0
    private var output: [UInt8] = []

    private static let idleMilliseconds: Int64 = 10_000
    private static let mostOutput = 1 << 18

    init(containerID: String, socket: InternetSocket, now: Int64) {
        self.containerID = containerID
        self.socket = socket
        deadline = now + Self.idleMilliseconds
    }

    var hasOutput: Bool { !output.isEmpty }

    /// False when the client is gone, or has sent more than anybody needs to.
    func read(now: Int64) -> Bool {
        do {
            while let bytes = try socket.read(limit: 8192) {
                guard !bytes.isEmpty, input.count + bytes.count <= 1 << 17 else { return false }
                input += bytes
                deadline = now + Self.idleMilliseconds
            }
            return true
        } catch {
            return false
        }
    }

    /// The next whole question; nil when there is none. Called until then.
    func takeQuery() -> [UInt8]? {
        if input.count >= taken + 2 {
            let length = Int(input[taken]) << 8 | Int(input[taken + 1])
            let start = taken + 2
            if input.count >= start + length {
                taken = start + length
                return Array(input[start..<taken])
            }
        }
        // Once for all that were taken: moving the rest for each would take a flood of small ones long.
        input.removeFirst(taken)
        taken = 0
        return nil
    }

    func add(_ answer: [UInt8]) {
        guard answer.count <= 65_535, output.count + answer.count <= Self.mostOutput else { return }
        output += [UInt8(answer.count >> 8), UInt8(answer.count & 0xff)] + answer
    }

    /// False when the client is gone.
    func flush() -> Bool {
        do {
            while !output.isEmpty {
                let count = try socket.write(output[...])
                if count == 0 { return true }
                output.removeFirst(count)
            }
            return true
        } catch {
            return false
        }
    }
}

/// A question on its way through the host's name servers, one after the other. Used by the server's thread.
final class NameForward {
    enum Progress {
        case waiting
        /// The question is out; from now on only its answer counts.
        case reading
        case answered([UInt8], DNSReply)
        /// This server is of no use.
        case failed
    }

    let query: DNSQuery
    let asker: NameAsker
    /// The servers that were meant, for the cache.
    let key: [String]
    var token: UInt64 = 0
    private(set) var socket: InternetSocket?
    private(set) var deadline: Int64 = 0
    private var servers: [IPAddress]
    /// The identifier and, by a socket of its own, the port are different each time: nobody can guess both.
    private var id: UInt16 = 0
    private var input: [UInt8] = []

    private static let milliseconds: Int64 = 2000

    init(query: DNSQuery, asker: NameAsker, key: [String], servers: [IPAddress]) {
        self.query = query
        self.asker = asker
        self.key = key
        self.servers = servers
    }

    var isStream: Bool {
        if case .stream = asker.way { true } else { false }
    }

    func takeServer() -> IPAddress? { servers.isEmpty ? nil : servers.removeFirst() }

    /// The socket that the answer will come to; nil when the server cannot be asked.
    func ask(_ server: IPAddress, now: Int64) -> InternetSocket? {
        do {
            let socket = try InternetSocket(isStream ? .tcp : .udp, server.isV4 ? .v4 : .v6)
            try socket.connect(SocketAddress(server, port: 53))
            id = UInt16.random(in: .min ... .max)
            input = []
            if !isStream { try socket.send(question) }
            self.socket = socket
            deadline = now + Self.milliseconds
            return socket
        } catch {
            return nil
        }
    }

    private var question: [UInt8] { [UInt8(id >> 8), UInt8(id & 0xff)] + query.bytes.dropFirst(2) }

    func advance(_ event: Epoll.Event) -> Progress {
        guard let socket else { return .failed }
        do {
            return try isStream ? advanceStream(socket, event) : receive(socket)
        } catch {
            return .failed
        }
    }

    private func receive(_ socket: InternetSocket) throws -> Progress {
        while let datagram = try socket.receive(limit: 65_535) {
            // Somebody else's guess is not the end of it: the true answer may still come.
            if let answer = accepted(datagram.bytes) { return answer }
        }
        return .waiting
    }

    private func advanceStream(_ socket: InternetSocket, _ event: Epoll.Event) throws -> Progress {
        if event.isWritable {
            let message = [UInt8(question.count >> 8), UInt8(question.count & 0xff)] + question
            return try socket.write(message[...]) == message.count ? .reading : .failed
        }
        while let bytes = try socket.read(limit: 16_384) {
            guard !bytes.isEmpty, input.count + bytes.count <= 65_537 else { return .failed }
            input += bytes
            guard input.count >= 2 else { continue }
            let length = Int(input[0]) << 8 | Int(input[1])
            if input.count >= 2 + length { return accepted(Array(input[2..<2 + length])) ?? .failed }
        }
        return .waiting
    }

    private func accepted(_ bytes: [UInt8]) -> Progress? {
        guard let reply = DNSReply(bytes, to: query), reply.id == id else { return nil }
        let code = bytes[3] & 15
        // A server that does not want to, or cannot, is not the last word while there is another one.
        if code == DNSCode.refused.rawValue || code == DNSCode.serverFailure.rawValue, !servers.isEmpty { return .failed }
        var answer = bytes
        answer[0] = UInt8(query.id >> 8)
        answer[1] = UInt8(query.id & 0xff)
        return .answered(answer, reply)
    }
}
