// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The properties are spelled as Docker's API spells its own.

/// Who reaches a container, or what a port of the host leads to, and why: the answer to `GET /system/network/explain`.
public struct NetworkExplanation: Codable, Sendable, Equatable {
    /// What is explained: `port 8080/tcp`, `container web`.
    public var Subject: String?
    /// What it is, a sentence each.
    public var Facts: [String]?
    public var Ways: [Way]?
    /// What else on the host may stand in the way, a sentence each.
    public var Host: [String]?

    /// Whether somebody reaches something.
    public struct Way: Codable, Sendable, Equatable {
        public var From: String?
        public var To: String?
        public var Reaches: Bool?
        public var Why: String?

        public init() {}
    }

    public init() {}
}
