public import Linux
public import SystemPackage

extension Networks {
    /// What tells one engine's networks from those of another on the same host.
    public struct Configuration: Sendable {
        /// The bridge device, at most 15 characters.
        public var bridgeName: String
        /// The nftables table (family inet).
        public var nftTable: String
        /// Where subnets are taken from, in this order, each `a.b.c.d/n`; the first without a conflict wins.
        public var ipv4Pool: [String]
        /// The network namespace that is "the host"; nil is the program's own.
        public var hostNamespace: SharedFD?

        /// Whether the host's own rules for what comes in decide about published ports too.
        public var followsInputPolicy = false

        /// The most endpoints on one bridge, which has room for 1,023 ports; the next ones get further bridges.
        public var containersPerBridge = 900

        /// The host's resolv.conf, and what is read where that names no server.
        public var resolverFiles: [FilePath] = HostResolver.standardPaths

        public init(
            bridgeName: String = "skiff0", nftTable: String = "skiff", ipv4Pool: [String] = Configuration.standardPool,
            hostNamespace: SharedFD? = nil
        ) {
            self.bridgeName = bridgeName
            self.nftTable = nftTable
            self.ipv4Pool = ipv4Pool
            self.hostNamespace = hostNamespace
        }

        /// Private ranges that neither Docker nor home routers begin with.
        public static let standardPool =
            (18...30).reversed().map { "172.\($0).0.0/16" } + (200...215).map { "10.\($0).0.0/16" }
            + (216...223).flatMap { second in (0..<16).map { "10.\(second).\($0 * 16).0/20" } }
    }
}

extension Networks.Configuration {
    /// Names become parts of paths below /proc/sys and of messages to the kernel.
    func validate() throws {
        guard Self.isDeviceName(bridgeName) else {
            throw NetworkError.unexpected("invalid name of a network device: \(bridgeName)")
        }
        guard (1...1000).contains(containersPerBridge) else {
            throw NetworkError.unexpected("a bridge takes no \(containersPerBridge) endpoints")
        }
        guard (1...31).contains(nftTable.utf8.count) else {
            throw NetworkError.unexpected("invalid name of an nftables table: \(nftTable)")
        }
    }

    /// Letters, digits, `-` and `_`; the name of a VLAN's device has a `.` within.
    static func isDeviceName(_ name: String, mayBeVLAN: Bool = false) -> Bool {
        let isPlain = name.utf8.allSatisfy {
            (0x30...0x39).contains($0) || (0x61...0x7a).contains($0 | 0x20) || $0 == 0x2d || $0 == 0x5f || mayBeVLAN && $0 == 0x2e
        }
        return isPlain && (1...15).contains(name.utf8.count) && !name.hasPrefix(".")
    }
}
