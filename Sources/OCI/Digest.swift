/// Names a piece of content by its hash: `sha256:` and 64 lowercase hexadecimal digits.
///
/// The grammar is checked when the value is made, so a digest is safe as a file name and in a URL.
public struct Digest: Sendable, Hashable, CustomStringConvertible {
    public enum Algorithm: String, Sendable, Codable, CaseIterable {
        case sha256, sha512

        /// The number of hexadecimal digits.
        var hexLength: Int { self == .sha256 ? 64 : 128 }
    }

    public struct ParseError: Error, Sendable, Equatable, CustomStringConvertible {
        public let text: String
        public var description: String { "invalid digest \(text.prefix(160).debugDescription)" }
    }

    public let algorithm: Algorithm
    public let hex: String

    /// Parses `sha256:<hex>` or `sha512:<hex>`.
    public init(_ string: String) throws {
        guard let colon = string.utf8.firstIndex(of: UInt8(ascii: ":")),
            let algorithm = Algorithm(rawValue: String(string[..<colon]))
        else { throw ParseError(text: string) }
        try self.init(algorithm: algorithm, hex: String(string[string.utf8.index(after: colon)...]))
    }

    public init(algorithm: Algorithm = .sha256, hex: String) throws {
        guard hex.utf8.count == algorithm.hexLength, hex.utf8.allSatisfy(isLowerHex) else {
            throw ParseError(text: "\(algorithm.rawValue):\(hex)")
        }
        self.algorithm = algorithm
        self.hex = hex
    }

    /// From the raw output of SHA-256, which is 32 bytes.
    public init(sha256 bytes: [UInt8]) {
        precondition(bytes.count == 32, "SHA-256 has 32 bytes")
        var digits: [UInt8] = []
        digits.reserveCapacity(64)
        for byte in bytes {
            digits.append(hexDigit(byte >> 4))
            digits.append(hexDigit(byte & 15))
        }
        algorithm = .sha256
        hex = String(decoding: digits, as: UTF8.self)
    }

    public var description: String { "\(algorithm.rawValue):\(hex)" }

    /// The twelve digits that Docker shows in tables.
    public var short: String { String(hex.prefix(12)) }
}

extension Digest: Comparable {
    public static func < (one: Digest, other: Digest) -> Bool {
        one.algorithm == other.algorithm ? one.hex < other.hex : one.algorithm == .sha256
    }
}

extension Digest: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        do {
            try self.init(text)
        } catch {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(error)")
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

func isLowerHex(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
}

private func hexDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
}
