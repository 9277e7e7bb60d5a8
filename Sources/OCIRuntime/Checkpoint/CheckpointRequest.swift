import Linux
import OCI
import SystemPackage

/// What the commands `checkpoint` and `restore` are told, in runc's words. What only one of them takes is the other's default.
public struct CheckpointRequest: Sendable {
    /// What CRIU does about cgroups below the container's own, and about their values.
    public enum CgroupMode: String, Sendable {
        case ignore, soft, full, strict

        fileprivate var number: Int {
            switch self {
            case .ignore: 0
            case .soft: 3
            case .full: 4
            case .strict: 5
            }
        }
    }

    public var imagePath = "checkpoint"
    /// For CRIU's log and statistics; the images' directory where there is none.
    public var workPath: String?
    /// The images of an earlier `preDump`, as seen from those that are made.
    public var parentPath: String?
    public var leaveRunning = false
    public var tcpEstablished = false
    public var tcpSkipsInFlight = false
    public var linkRemap = false
    public var externalUnixSockets = false
    public var shellJob = false
    public var fileLocks = false
    public var preDump = false
    public var autoDeduplication = false
    public var lazyPages = false
    /// An inherited descriptor that gets a zero byte when the server of lazy pages is ready.
    public var statusDescriptor: Int32?
    public var pageServer: (address: String, port: Int)?
    public var cgroupMode = CgroupMode.soft
    public var lsmProfile: String?
    public var lsmMountContext: String?

    public init() {}

    /// The options that a dump and a restore have in common (`criu_opts` in CRIU's rpc.proto).
    func options(_ images: ImageDirectory, log: String, configuration: String = "/etc/criu/runc.conf") -> ProtobufMessage {
        var options = ProtobufMessage()
        options.put(1, Int(images.images.raw))
        options.put(17, Int(images.work.raw))
        options.put(9, 4)  // Everything is logged; the log is the only thing that tells why something failed.
        options.put(10, log)
        options.put(12, true)  // Notifications.
        options.put(50, true)  // The other end of a terminal is somebody else's.
        options.put(4, externalUnixSockets)
        options.put(5, tcpEstablished)
        options.put(7, shellJob)
        options.put(8, fileLocks)
        options.put(16, autoDeduplication)
        options.put(48, lazyPages)
        options.put(24, cgroupMode != .ignore)
        options.put(34, cgroupMode.number)
        // Interfaces and addresses are made by hooks, or by whoever owns the namespace, as in runc.
        options.put(38, Int(Namespaces.network.rawValue))
        // An administrator's own file, which wins over all of this. CRIU does without where it is missing.
        options.put(51, configuration)
        return options
    }

    /// What a dump has besides.
    func putDumpOptions(_ options: inout ProtobufMessage) {
        options.put(3, leaveRunning)
        options.put(18, linkRemap)
        options.put(46, tcpSkipsInFlight)
        if let pageServer {
            var server = ProtobufMessage()
            server.put(1, pageServer.address)
            server.put(2, pageServer.port)
            options.put(11, server)
        }
        if let parentPath {
            options.put(14, parentPath)
            options.put(15, true)
        }
    }

    /// What a restore has besides.
    func putRestoreOptions(_ options: inout ProtobufMessage) {
        options.put(6, true)  // A device is as good by another path.
        options.put(26, true)  // The restored process becomes CRIU's sibling, which is our child.
        if let lsmProfile { options.put(53, lsmProfile) }
        if let lsmMountContext { options.put(63, lsmMountContext) }
    }

    /// Since when CRIU knows all that is asked for, and what would be lost with an older one, which does not say so.
    func neededVersion(_ spec: RuntimeSpec) -> (number: Int, reason: String) {
        if spec.process.noNewPrivileges { return (31900, " for noNewPrivileges") }
        return lsmProfile != nil || lsmMountContext != nil ? (31600, " for --lsm-profile and --lsm-mount-context") : (31500, "")
    }

    /// Whoever waits for the zero byte gets it, and the end of the file.
    func tellReady() throws {
        guard let statusDescriptor else { return }
        try OwnedFD(adopting: statusDescriptor).writeAll([0])
    }

    /// Only a descriptor that was inherited and can be written to will do.
    func checkStatusDescriptor() throws {
        guard let number = statusDescriptor else { return }
        // What cannot be read is not open.
        let facts = try? OwnedFD.open(FilePath("/proc/self/fdinfo/\(number)"), .readOnly).readAll(limit: 4096)
        if let obstacle = Self.statusObstacle(facts) { throw RuntimeError("invalid --status-fd argument \(number): \(obstacle)") }
    }

    /// By what procfs says of a descriptor. Everything that the runtime opens is closed by an exec, so that what was inherited
    /// is what is not.
    static func statusObstacle(_ facts: [UInt8]?) -> String? {
        guard let facts, let flags = ProcessFile.value("flags", in: facts).flatMap({ Int($0, radix: 8) }), flags & 0o2000000 == 0 else {
            return "bad file descriptor"
        }
        return flags & 3 == 0 ? "not writable" : nil
    }
}

/// Files of procfs with a name, a colon and a value in each line.
enum ProcessFile {
    static func value(_ name: String, in bytes: [UInt8]) -> Substring? {
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") where line.hasPrefix("\(name):") {
            return line.dropFirst(name.utf8.count + 1).drop { $0 == "\t" || $0 == " " }
        }
        return nil
    }
}
