import Linux

/// Reads what a user says about subnets; complains in Docker's words, about everything at once.
enum SubnetRequest {
    static func resolve(_ requests: [NetworkInfo.Subnet]) throws -> [Subnet] {
        var complaints: [String] = []
        // A gateway or nothing alone says nothing that could be kept.
        let subnets = requests.filter { !$0.prefix.isEmpty || !$0.range.isEmpty || !$0.gateway.isEmpty }.compactMap { resolve($0, &complaints) }
        guard complaints.isEmpty else {
            throw NetworkError.refused(.invalid, "invalid network config:\n" + complaints.joined(separator: "\n"))
        }
        return subnets
    }

    private static func resolve(_ request: NetworkInfo.Subnet, _ complaints: inout [String]) -> Subnet? {
        guard let prefix = IPPrefix(request.prefix) else {
            complaints.append("invalid subnet \(request.prefix): invalid CIDR block notation")
            return nil
        }
        if let masked = Self.masked(prefix), masked != prefix {
            complaints.append("invalid subnet \(prefix): it should be \(masked)")
        }
        let range = request.range.isEmpty ? nil : Self.range(request.range, in: prefix, &complaints)
        let gateway = request.gateway.isEmpty ? nil : address(request.gateway, in: prefix, "gateway \(request.gateway)", &complaints)
        var reserved: [String: IPAddress] = [:]
        for (name, text) in request.reserved.sorted(by: { $0.key < $1.key }) {
            reserved[name] = address(text, in: prefix, "auxiliary address \(name)", &complaints)
        }
        return Subnet(prefix, range: range, gateway: gateway, reserved: reserved)
    }

    private static func range(_ text: String, in prefix: IPPrefix, _ complaints: inout [String]) -> IPPrefix? {
        guard let range = IPPrefix(text) else {
            complaints.append("invalid ip-range \(text): invalid CIDR block notation")
            return nil
        }
        if range.address.isV4 != prefix.address.isV4 {
            complaints.append("invalid ip-range \(range): parent subnet is an \(family(prefix)) block")
            return nil
        }
        if range.length < prefix.length {
            complaints.append("invalid ip-range \(range): CIDR block is bigger than its parent subnet \(prefix)")
        }
        if let masked = Self.masked(range), masked != range { complaints.append("invalid ip-range \(range): it should be \(masked)") }
        if !prefix.overlaps(range) {
            complaints.append("invalid ip-range \(range): parent subnet \(prefix) doesn't contain ip-range")
        }
        return range
    }

    private static func address(_ text: String, in prefix: IPPrefix, _ what: String, _ complaints: inout [String]) -> IPAddress? {
        guard let address = IPAddress(text) else {
            complaints.append("invalid \(what): invalid address")
            return nil
        }
        if address.isV4 != prefix.address.isV4 {
            complaints.append("invalid \(what): parent subnet is an \(family(prefix)) block")
        } else if !prefix.contains(address) {
            complaints.append("invalid \(what): parent subnet \(prefix) doesn't contain this address")
        }
        return address
    }

    private static func masked(_ prefix: IPPrefix) -> IPPrefix? {
        IPAddress(bytes: prefix.networkBytes).flatMap { IPPrefix($0, length: prefix.length) }
    }

    private static func family(_ prefix: IPPrefix) -> String { prefix.address.isV4 ? "IPv4" : "IPv6" }
}
