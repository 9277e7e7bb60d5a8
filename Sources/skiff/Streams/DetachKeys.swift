/// Watches what is typed for the keys that leave a container alone. The engine acts on them; the client has to know why
/// its stream ended.
struct DetachKeys: Sendable {
    private let keys: [UInt8]
    private var matched = 0
    private(set) var wereTyped = false

    static let usual = "ctrl-p,ctrl-q"

    /// `ctrl-p,ctrl-q`, `ctrl-@`, `a,b`; empty stands for the usual ones.
    init(_ text: String) throws {
        keys = try (text.isEmpty ? Self.usual : text).split(separator: ",", omittingEmptySubsequences: false).map {
            try Self.key(String($0))
        }
    }

    private static func key(_ name: String) throws -> UInt8 {
        if name.utf8.count == 1, let byte = name.utf8.first { return byte }
        let letter = Array(name.utf8.dropFirst("ctrl-".utf8.count))
        guard name.hasPrefix("ctrl-"), letter.count == 1 else { throw UsageError("Unknown character: '\(name)'") }
        switch letter[0] {
        case UInt8(ascii: "a")...UInt8(ascii: "z"): return letter[0] - UInt8(ascii: "a") + 1
        case UInt8(ascii: "@"): return 0
        case UInt8(ascii: "["): return 27
        case UInt8(ascii: "\\"): return 28
        case UInt8(ascii: "]"): return 29
        case UInt8(ascii: "^"): return 30
        case UInt8(ascii: "_"): return 31
        default: throw UsageError("Unknown character: '\(name)'")
        }
    }

    mutating func see(_ bytes: [UInt8]) {
        for byte in bytes where !wereTyped {
            matched = byte == keys[matched] ? matched + 1 : byte == keys[0] ? 1 : 0
            wereTyped = matched == keys.count
        }
    }
}
