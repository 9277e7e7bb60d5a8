import CLinux
import Glibc

/// An IPv4 or IPv6 address: its 4 or 16 bytes in network order.
public struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    public let bytes: [UInt8]

    /// Nil unless there are 4 or 16 bytes.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = Array(bytes)
    }

    /// The usual notations, without a zone. Nil for everything else.
    public init?(_ text: String) {
        var buffer = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &buffer) == 1 {
            bytes = Array(buffer[0..<4])
        } else if inet_pton(AF_INET6, text, &buffer) == 1 {
            bytes = buffer
        } else {
            return nil
        }
    }

    public init(v4 number: UInt32) {
        bytes = number.bigEndianBytes
    }

    public var isV4: Bool { bytes.count == 4 }

    /// The number of an IPv4 address; nil for IPv6.
    public var v4Number: UInt32? {
        isV4 ? bytes.reduce(0) { $0 << 8 | UInt32($1) } : nil
    }

    /// `0.0.0.0` or `::`
    public var isUnspecified: Bool { bytes.allSatisfy { $0 == 0 } }

    public var description: String {
        var text = [CChar](repeating: 0, count: 64)
        guard inet_ntop(isV4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count)) != nil else { return "?" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    public var family: AddressFamily { isV4 ? .v4 : .v6 }
}

/// An address together with the number of bits that name the network.
public struct IPPrefix: Hashable, Sendable, CustomStringConvertible {
    public let address: IPAddress
    public let length: Int

    /// Nil when the length is more than the address has.
    public init?(_ address: IPAddress, length: Int) {
        guard (0...address.bytes.count * 8).contains(length) else { return nil }
        self.address = address
        self.length = length
    }

    /// `172.30.0.0/16`
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(String(parts[0])), let length = Int(parts[1]) else {
            return nil
        }
        self.init(address, length: length)
    }

    public var description: String { "\(address)/\(length)" }

    /// The mask: as many set bits as the length says.
    public var maskBytes: [UInt8] {
        address.bytes.indices.map { index in
            let bits = min(8, max(0, length - index * 8))
            return UInt8(truncatingIfNeeded: 0xff00 >> bits)
        }
    }

    /// The first address of the network, with all host bits zero.
    public var networkBytes: [UInt8] {
        zip(address.bytes, maskBytes).map { $0 & $1 }
    }

    public func contains(_ other: IPAddress) -> Bool {
        guard other.bytes.count == address.bytes.count else { return false }
        return zip(zip(other.bytes, maskBytes), networkBytes).allSatisfy { $0.0 & $0.1 == $1 }
    }

    /// Whether some address is in both.
    public func overlaps(_ other: IPPrefix) -> Bool {
        length <= other.length ? contains(other.address) : other.contains(address)
    }
}
