import DockerAPI
import Linux

/// Which range, gateway and further address belongs to which subnet: each to the one that it lies in.
struct SubnetFlags: Sendable {
    var subnets: [String] = []
    var ranges: [String] = []
    var gateways: [String] = []
    var addresses: [String: String] = [:]

    func configurations() throws -> [IPAMConfig] {
        guard ranges.count <= subnets.count, gateways.count <= subnets.count else {
            throw CommandFailure("every ip-range or gateway must have a corresponding subnet")
        }
        let prefixes = try subnets.map(Self.prefix)
        for (index, prefix) in prefixes.enumerated() where prefixes[..<index].contains(where: prefix.overlaps) {
            throw CommandFailure("multiple overlapping subnet configuration is not supported")
        }
        var configurations = subnets.map { subnet in
            var configuration = IPAMConfig()
            configuration.Subnet = subnet
            return configuration
        }
        for text in ranges {
            let range = try Self.prefix(text)
            let index = try Self.index(of: range.address, in: prefixes, "range \(text)")
            if let other = configurations[index].IPRange {
                throw CommandFailure("cannot configure multiple ranges (\(text), \(other)) on the same subnet (\(subnets[index]))")
            }
            configurations[index].IPRange = text
        }
        for text in gateways {
            let index = try Self.index(of: try Self.address(text), in: prefixes, "gateway \(text)")
            if let other = configurations[index].Gateway {
                throw CommandFailure("cannot configure multiple gateways (\(text), \(other)) for the same subnet (\(subnets[index]))")
            }
            configurations[index].Gateway = text
        }
        for (name, text) in addresses.sorted(by: { $0.key < $1.key }) {
            let index = try Self.index(of: try Self.address(text), in: prefixes, "aux-address \(text)")
            configurations[index].AuxiliaryAddresses = (configurations[index].AuxiliaryAddresses ?? [:]).merging([name: text]) { $1 }
        }
        return configurations
    }

    private static func index(of address: IPAddress, in prefixes: [IPPrefix], _ what: String) throws -> Int {
        guard let index = prefixes.firstIndex(where: { $0.contains(address) }) else {
            throw CommandFailure("no matching subnet for \(what)")
        }
        return index
    }

    private static func prefix(_ text: String) throws -> IPPrefix {
        guard let prefix = IPPrefix(text) else { throw CommandFailure("invalid subnet: invalid CIDR address: \(text)") }
        return prefix
    }

    private static func address(_ text: String) throws -> IPAddress {
        guard let address = IPAddress(text) else { throw CommandFailure("invalid IP address: \(text)") }
        return address
    }
}
