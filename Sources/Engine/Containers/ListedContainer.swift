import DockerAPI
import FoundationEssentials
import OCI

/// One container of a list as JSON, without what changes by itself as time goes by. A thousand containers are listed in
/// milliseconds that way.
struct ListedContainer: Sendable {
    let created: String
    let isShown: Bool
    /// Up to the ports, which are written anew each time: of many they are most of the row.
    private let head: [UInt8]
    private let ports: [PortRow]
    /// Behind the ports, up to the last member, which is `Status`.
    private let tail: [UInt8]

    /// `isShown`: also in a list of what runs.
    init(_ summary: ContainerSummary, _ ports: [PortRow], created: String) throws {
        self.created = created
        isShown = ["running", "paused", "restarting"].contains(summary.State ?? "")
        var summary = summary
        // Empty it ends in a way that is known: names are sorted, and none comes after it.
        summary.Status = ""
        summary.Ports = []
        let all = Array(try APIJSON.encode(summary))
        // A quote within a text has a backslash before it, so this is no text.
        guard all.suffix(Self.end.count).elementsEqual(Self.end), let place = all.firstRange(of: Self.empty) else {
            throw EngineError(.internalError, "a container cannot be listed")
        }
        self.ports = ports
        head = Array(all[..<(place.upperBound - 1)])
        tail = Array(all[(place.upperBound - 1)...].dropLast(Self.end.count - Self.kept))
    }

    private static let empty = Array(#""Ports":[]"#.utf8)

    private static let end = Array(#""Status":""}"#.utf8)
    private static let kept = #""Status":"#.utf8.count

    func write(to bytes: inout [UInt8], status: String) {
        bytes += head
        for (index, row) in ports.enumerated() { row.write(to: &bytes, isFirst: index == 0) }
        bytes += tail
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
