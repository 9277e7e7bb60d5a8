/// A list of words that may also arrive as one string, as `Cmd` and `Entrypoint` do. It is always sent as a list.
public struct StrSlice: Codable, Sendable, Equatable, ExpressibleByArrayLiteral {
    public var values: [String]

    public init(_ values: [String]) {
        self.values = values
    }

    public init(arrayLiteral elements: String...) {
        values = elements
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        do {
            values = try container.decode([String].self)
        } catch DecodingError.typeMismatch {
            values = [try container.decode(String.self)]
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(values)
    }
}

/// `{}`: the value of a map that is used as a set.
public struct EmptyObject: Codable, Sendable, Equatable {
    public init() {}
}
