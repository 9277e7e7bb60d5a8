import DockerAPI
import OCI

/// The log options `labels`, `env`, their patterns and `tag`: what of a container every entry of its log tells.
struct LogAttributes: Sendable, Equatable {
    var labels: [String] = []
    var labelPattern: String?
    var variables: [String] = []
    var variablePattern: String?
    var tag: String?

    /// As a JSON object; nil when there is nothing to tell.
    func json(of record: ContainerRecord) throws(EngineError) -> String? {
        var found = labelsAndVariables(of: record)
        if let tag { found["tag"] = try LogTag(tag).text(of: record) }
        return found.isEmpty ? nil : Self.json(found)
    }

    /// What systemd's journal keeps with every line, by Docker's names, as a JSON object.
    func journalFields(of record: ContainerRecord) throws(EngineError) -> String {
        let tag = try LogTag(tag ?? "{{.ID}}").text(of: record)
        var fields: [String: String] = [:]
        for (name, value) in labelsAndVariables(of: record) {
            let name = Self.journalName(name)
            if !name.isEmpty { fields[name] = value }
        }
        fields["CONTAINER_ID"] = shortID(record.id)
        fields["CONTAINER_ID_FULL"] = record.id
        fields["CONTAINER_NAME"] = record.name
        fields["CONTAINER_TAG"] = tag
        fields["SYSLOG_IDENTIFIER"] = tag
        fields["IMAGE_NAME"] = record.config.Image ?? ""
        return Self.json(fields)
    }

    /// Capitals, digits and `_`, which it does not begin with.
    static func journalName(_ name: String) -> String {
        let letters = name.unicodeScalars.map { scalar -> Character in
            scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)) ? Character(scalar) : "_"
        }
        return String(letters.drop { $0 == "_" }).uppercased()
    }

    private static func json(_ values: [String: String]) -> String {
        let members = values.sorted { $0.key < $1.key }.map { ($0.key, JSONValue.string($0.value)) }
        return String(decoding: JSONValue.object(members).serialized(), as: UTF8.self)
    }

    private func labelsAndVariables(of record: ContainerRecord) -> [String: String] {
        var found: [String: String] = [:]
        Self.add(record.config.Labels ?? [:], labels, labelPattern, to: &found)
        let pairs = (record.config.Env ?? []).map { variable in
            (String(ImageDefaults.variableName(variable)), String(variable.drop { $0 != "=" }.dropFirst()))
        }
        Self.add(Dictionary(pairs) { $1 }, variables, variablePattern, to: &found)
        return found
    }

    private static func add(_ values: [String: String], _ names: [String], _ pattern: String?, to found: inout [String: String]) {
        let expression = pattern.flatMap { BoundedPattern($0) }  // It was read before.
        for (name, value) in values {
            if names.contains(name) || expression?.matches(name) == true { found[name] = value }
        }
    }
}

/// The log option `tag`: a text with `{{.Name}}` and the like.
struct LogTag {
    private enum Part {
        case text(String)
        case field(String)
    }

    private let parts: [Part]
    private static let fields = ["ID", "FullID", "Name", "ImageID", "ImageFullID", "ImageName", "DaemonName", "Command"]

    init(_ template: String) throws(EngineError) {
        var parts: [Part] = []
        var rest = template[...]
        while let open = rest.firstRange(of: "{{") {
            if open.lowerBound > rest.startIndex { parts.append(.text(String(rest[..<open.lowerBound]))) }
            rest = rest[open.upperBound...]
            let close = rest.firstRange(of: "}}")
            let name = rest[..<(close?.lowerBound ?? rest.endIndex)].filter { $0 != " " }
            guard let close, name.hasPrefix("."), Self.fields.contains(String(name.dropFirst())) else {
                throw EngineError(
                    .invalidArgument, "invalid log opt 'tag=\(template)': only \(Self.fields.map { "{{.\($0)}}" }.joined(separator: " ")) are known")
            }
            parts.append(.field(String(name.dropFirst())))
            rest = rest[close.upperBound...]
        }
        if !rest.isEmpty { parts.append(.text(String(rest))) }
        self.parts = parts
    }

    func text(of record: ContainerRecord) -> String {
        parts.map { part in
            switch part {
            case .text(let text): text
            case .field(let name): Self.value(name, record)
            }
        }.joined()
    }

    private static func value(_ field: String, _ record: ContainerRecord) -> String {
        switch field {
        case "ID": shortID(record.id)
        case "FullID": record.id
        case "Name": record.name
        case "ImageID": shortID(String(record.imageID.split(separator: ":").last ?? ""))
        case "ImageFullID": record.imageID
        case "ImageName": record.config.Image ?? ""
        case "DaemonName": "skiff"
        default: ([record.path] + record.args).joined(separator: " ")
        }
    }
}
