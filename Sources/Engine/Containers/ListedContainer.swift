import DockerAPI
import FoundationEssentials
import OCI

/// One container of a list as JSON, without what changes by itself as time goes by. A thousand containers are listed in
/// milliseconds that way.
struct ListedContainer: Sendable {
    let created: String
    let isShown: Bool
    /// Up to the last member, which is `Status`.
    private let json: [UInt8]

    /// `isShown`: also in a list of what runs.
    init(_ summary: ContainerSummary, created: String) throws {
        self.created = created
        isShown = ["running", "paused", "restarting"].contains(summary.State ?? "")
        var summary = summary
        // Empty it ends in a way that is known: names are sorted, and none comes after it.
        summary.Status = ""
        let all = try APIJSON.encode(summary)
        guard all.suffix(Self.end.count).elementsEqual(Self.end) else {
            throw EngineError(.internalError, "a container cannot be listed")
        }
        json = Array(all.dropLast(Self.end.count - Self.kept))
    }

    private static let end = Array(#""Status":""}"#.utf8)
    private static let kept = #""Status":"#.utf8.count

    func write(to bytes: inout [UInt8], status: String) {
        bytes += json
        bytes += JSONValue.string(status).serialized()
        bytes.append(UInt8(ascii: "}"))
    }
}

/// JSON as Go writes it, slashes bare; always in the same order.
public enum APIJSON {
    public static func encode(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes, .sortedKeys]
        return try encoder.encode(value)
    }
}
