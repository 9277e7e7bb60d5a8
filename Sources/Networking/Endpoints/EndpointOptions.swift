import Linux

/// What `driver-opt` says about one container on a network, understood. An option that is not known is refused, not ignored.
public struct EndpointOptions: Sendable, Equatable {
    /// The name of the device in the container; empty is one of the network's choice.
    public private(set) var interfaceName = ""
    /// Settings of the device, each as a path below `/proc/sys/net` with `IFNAME` in it, and its value.
    public private(set) var settings: [DeviceSetting] = []

    /// Whether the device is to have no addresses of IPv6.
    var turnsIPv6Off: Bool { settings.contains { $0.path == "ipv6/conf/\(DeviceSetting.placeholder)/disable_ipv6" && Int($0.value) != 0 } }

    /// One setting of a device in a container: `ipv4/conf/IFNAME/forwarding` and what it gets.
    public struct DeviceSetting: Codable, Sendable, Hashable {
        let path: String
        let value: String

        func path(of device: String) -> String {
            path.split(separator: "/").map { $0 == Self.placeholder ? Substring(device) : $0 }.joined(separator: "/")
        }

        static let placeholder = "IFNAME"
    }

    public init() {}

    public init(_ options: [String: String]) throws(NetworkError) {
        for (key, value) in options.sorted(by: { $0.key < $1.key }) {
            switch key {
            case "com.docker.network.endpoint.ifname": interfaceName = try Self.checked(name: value)
            case "com.docker.network.endpoint.sysctls":
                for text in value.split(separator: ",", omittingEmptySubsequences: false) { settings.append(try Self.setting(String(text))) }
            default: throw .refused(.invalid, "invalid endpoint settings:\ninvalid driver option of an endpoint: \(key)")
            }
        }
    }

    private static func checked(name: String) throws(NetworkError) -> String {
        guard Networks.Configuration.isDeviceName(name, mayBeVLAN: true), !["lo", "all", "default", ".."].contains(name) else {
            throw .refused(.invalid, "invalid endpoint settings:\ninvalid interface name: \"\(name)\"")
        }
        return name
    }

    private static func setting(_ text: String) throws(NetworkError) -> DeviceSetting {
        let halves = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let parts = halves[0].split(separator: ".", omittingEmptySubsequences: false)
        let isPlain = parts.allSatisfy { part in
            !part.isEmpty && part.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x7a).contains($0 | 0x20) || $0 == 0x5f || $0 == 0x2d }
        }
        // Clients make small letters of it.
        guard halves.count == 2, parts.count == 5, isPlain, parts[0] == "net", ["ipv4", "ipv6", "mpls"].contains(parts[1]),
            ["IFNAME", "ifname"].contains(parts[3]), isValue(halves[1])
        else {
            throw .refused(
                .invalid,
                "invalid endpoint settings:\nunrecognised network interface sysctl '\(text)'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            )
        }
        return DeviceSetting(path: "\(parts[1])/\(parts[2])/\(DeviceSetting.placeholder)/\(parts[4])", value: String(halves[1]))
    }

    /// Numbers, lists of numbers and addresses: one line, and nothing that somebody could take for a second setting.
    private static func isValue(_ text: Substring) -> Bool {
        (1...256).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x61...0x7a).contains($0 | 0x20) || " .:-_".utf8.contains($0)
            }
    }
}

/// Addresses that are for one cable alone, which a container gets besides its own.
public enum LinkLocalAddress {
    /// Nil for what is none.
    static func prefix(_ text: String) -> IPPrefix? {
        guard let address = IPAddress(text), let range = IPPrefix(address.isV4 ? "169.254.0.0/16" : "fe80::/10"), range.contains(address) else {
            return nil
        }
        return IPPrefix(address, length: address.isV4 ? 16 : 64)
    }

    public static func isValid(_ text: String) -> Bool { prefix(text) != nil }
}
