import Linux
import SystemPackage

/// A process of CRIU that serves us (`criu swrk`), over a pair of sockets that keep the bounds of messages:
///
///     we                             CRIU
///       |  ---- request -------------> |
///       |  <--- notification --------- |   any number of times; one of them brings a terminal
///       |  ---- done, or not --------> |
///       |  <--- answer --------------- |
///
/// The messages are those of CRIU's rpc.proto. Descriptors in them are numbers of ours, which CRIU finds below `/proc`.
final class CRIUService {
    /// `criu_req_type`.
    enum Kind: Int {
        case dump = 1
        case restore = 2
        case preDump = 4
        case notification = 6
        case features = 9
        case version = 10

        var name: String {
            switch self {
            case .dump: "DUMP"
            case .restore: "RESTORE"
            case .preDump: "PRE_DUMP"
            case .notification: "NOTIFY"
            case .features: "FEATURE_CHECK"
            case .version: "VERSION"
            }
        }
    }

    /// Something that CRIU has come to; it goes on when the handler returns and gives up when that throws.
    struct Notification {
        let script: String
        let pid: Int32
        /// The controlling side of a terminal, with `orphan-pts-master`.
        let descriptor: HeldFD?
    }

    let pid: Int32
    private var channel: Channel?
    private let errors: OwnedFD
    private var hasEnded = false

    /// `passed` becomes descriptor 4 and on. What CRIU says before it has a log is kept for `firstError`.
    init(_ program: FilePath, input: Int32? = nil, passed: [Int32] = []) throws {
        let pair = try Channel.Pair()
        let null = try OwnedFD.open("/dev/null", .readWrite)
        errors = try memoryFile("criu")
        // CRIU calls tar, ip and iptables by name.
        var environment = CurrentProcess.environment
        if !environment.contains(where: { $0.hasPrefix("PATH=") }) { environment.append("PATH=\(RuntimeRoot.usualPath)") }
        pid = try spawn(
            program, named: "criu", arguments: ["swrk", "3"], environment: environment,
            descriptors: [input ?? null.raw, null.raw, errors.raw, pair.child.descriptor.raw] + passed)
        channel = pair.takeParent()
    }

    deinit {
        if !hasEnded { end() }
    }

    /// CRIU of the host, or a sentence that says how to get it.
    static func find(_ given: String?) throws -> FilePath {
        if let given, !given.isEmpty {
            if let obstacle = executionObstacle(given) { throw RuntimeError("criu is not at \(given): \(obstacle.goText)") }
            return FilePath(given)
        }
        do {
            return try RuntimeRoot.find("criu")
        } catch {
            throw RuntimeError("criu is not installed: checkpoint and restore need it (Debian has it in the package criu)")
        }
    }

    /// One request and its answer, whatever that says.
    func ask(
        _ kind: Kind, _ options: ProtobufMessage? = nil, features: ProtobufMessage? = nil, staysOpen: Bool = false,
        notified: (Notification) throws -> Void = { _ in }
    ) throws -> ProtobufFields {
        var request = ProtobufMessage()
        request.put(1, kind.rawValue)
        if let options { request.put(2, options) }
        if staysOpen { request.put(4, true) }
        if let features { request.put(5, features) }
        try send(request, kind)
        var refusal: (any Error)?
        while true {
            guard let (answer, descriptor) = try receive() else { throw refusal ?? CRIUFailure(kind: kind, text: "it has ended") }
            guard let notification = answer.message(5) else {
                if let refusal { throw refusal }
                return answer
            }
            // The first error is the one to tell. CRIU undoes what it has done, and tells of that as well.
            if refusal == nil {
                do {
                    try notified(
                        Notification(
                            script: notification.text(1) ?? "", pid: Int32(truncatingIfNeeded: notification.number(2) ?? 0),
                            descriptor: descriptor))
                } catch {
                    refusal = error
                }
            }
            var reply = ProtobufMessage()
            reply.put(1, Kind.notification.rawValue)
            reply.put(3, refusal == nil)
            try send(reply, kind)
        }
    }

    private func send(_ message: ProtobufMessage, _ kind: Kind) throws {
        do throws(SystemError) {
            try channel?.send(message.bytes)
        } catch {
            throw error.errno == .brokenPipe ? CRIUFailure(kind: kind, text: "it has ended") : error
        }
    }

    private func receive() throws -> (ProtobufFields, HeldFD?)? {
        guard var message = try channel?.receive() else { return nil }
        var descriptor: HeldFD?
        if let passed = message.takeDescriptor() { descriptor = HeldFD(passed) }
        guard let fields = ProtobufFields(message.bytes[...]) else { throw RuntimeError("criu sent a message that cannot be read") }
        return (fields, descriptor)
    }

    func check(version needed: (number: Int, reason: String)) throws {
        let answer = try ask(.version, staysOpen: true)
        let version = answer.message(10)
        let number = (version?.number(1) ?? 0) * 10000 + (version?.number(2) ?? 0) * 100 + (version?.number(4) ?? 0)
        guard number >= needed.number else {
            throw RuntimeError("CRIU version \(number) must be \(needed.number) or higher\(needed.reason)")
        }
    }

    /// `criu_features`: 1 is the tracking of memory, 2 are lazy pages.
    func check(feature: Int, _ name: String) throws {
        var wanted = ProtobufMessage()
        wanted.put(feature, true)
        let answer = try ask(.features, features: wanted, staysOpen: true)
        guard answer.number(2) == 1 else { throw CRIUFailure(kind: .features, answer: answer) }
        guard answer.message(8)?.number(feature) == 1 else { throw RuntimeError("criu is missing features: [\(name)]") }
    }

    /// No more requests: CRIU goes by itself then. Answers how it ended.
    @discardableResult
    func end() -> ExitStatus? {
        hasEnded = true
        channel = nil
        return try? reap(pid)  // Only a child that is not ours could fail here.
    }

    /// What CRIU said before it had a log.
    var firstErrors: [UInt8] {
        // A memory file cannot fail to be read.
        (try? errors.read(at: 0, count: 16384)) ?? []
    }
}

/// A request that CRIU did not fulfil, in runc's words.
struct CRIUFailure: Error, CustomStringConvertible {
    let description: String

    init(kind: CRIUService.Kind, text: String) {
        description = "criu failed: type \(kind.name): \(text)"
    }

    init(kind: CRIUService.Kind, answer: ProtobufFields) {
        description = "criu failed: type \(kind.name) errno \(answer.number(7) ?? 0)"
    }
}
