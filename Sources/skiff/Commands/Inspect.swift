import EngineClient
import OCI

extension Command {
    private static let format = Flag<String>.text("format", short: "f", "json, or a template in Go's language")
    private static let platform = Flag<String>.text("platform", "Only if it is for this platform, such as linux/arm64")
    private static let size = Flag<Bool>.toggle("size", short: "s", "Show sizes of containers")

    static func inspect() -> Command {
        let type = Flag<String>.text("type", "Look only among things of this type")
        return Command(
            name: "inspect", usage: "[OPTIONS] NAME|ID [NAME|ID...]", summary: "Show everything about things by name or id",
            arguments: .atLeast(1), flags: [format, size, type]
        ) { call in
            let kinds: [InspectedKind]
            switch call[type] {
            case "": kinds = [.container, .image, .network, .volume]
            case let name:
                guard let kind = InspectedKind(rawValue: name) else {
                    let known = "\"container\", \"image\", \"network\", \"volume\""
                    throw CommandFailure("unknown type: \"\(name)\": must be one of \(known)")
                }
                kinds = [kind]
            }
            return try await Inspection(call: call, kinds: kinds, format: call[format], showsSize: call[size]).run()
        }
    }

    static func inspectContainer() -> Command { inspect(.container, "CONTAINER", [size]) }
    static func inspectImage() -> Command { inspect(.image, "IMAGE", [platform]) }
    static func inspectNetwork() -> Command { inspect(.network, "NETWORK", []) }
    static func inspectVolume() -> Command { inspect(.volume, "VOLUME", []) }

    private static func inspect(_ kind: InspectedKind, _ word: String, _ more: [any FlagDefinition]) -> Command {
        Command(
            name: "inspect", usage: "[OPTIONS] \(word) [\(word)...]", summary: "Show everything about \(word.lowercased())s",
            arguments: .atLeast(1), flags: [format] + more
        ) { call in
            try await Inspection(
                call: call, kinds: [kind], format: call[format], showsSize: call[size], platform: call[platform]
            ).run()
        }
    }
}

/// What can be inspected.
enum InspectedKind: String, Sendable {
    case container, image, network, volume

    func path(_ name: String) -> String {
        let name = EngineRequest.escaped(name)
        return switch self {
        case .container: "/containers/\(name)/json"
        case .image: "/images/\(name)/json"
        case .network: "/networks/\(name)"
        case .volume: "/volumes/\(name)"
        }
    }
}

/// Looks things up and prints them as one JSON list, or each through a template.
private struct Inspection {
    let call: Invocation
    let kinds: [InspectedKind]
    let format: String
    let showsSize: Bool
    var platform = ""

    /// What the API leaves out when there is none, and templates name all the same.
    private static let mayBeAbsent = [["State", "Health"], ["Config", "Healthcheck"]]

    func run() async throws -> Int32 {
        let template = format.isEmpty || format == "json" ? nil : try Template(format)
        var found: [JSONValue] = []
        var complaints: [String] = []
        var code: Int32 = 0
        for name in call.arguments {
            do {
                found.append(try await find(name))
            } catch let error as EngineClientError {
                complaints.append("\(error)")
                code = 1
            } catch let error as CommandFailure {
                complaints.append(error.message)
                code = 1
            }
        }
        do {
            try call.program.write(try text(found, template))
        } catch let error as TemplateError {
            complaints.append(Failure.text(error))
            code = 1
        }
        for complaint in complaints { try call.program.warn(complaint) }
        return code
    }

    private func find(_ name: String) async throws -> JSONValue {
        for kind in kinds {
            do {
                var query = showsSize && kind == .container ? [("size", "1")] : []
                if !platform.isEmpty { query.append(("platform", platform)) }
                let bytes = try await call.program.engine.send(EngineRequest(.get, kind.path(name), query: query))
                return try JSONValue.parse(bytes, limits: .init(bytes: 64 << 20))
            } catch let error as EngineClientError where kinds.count > 1 && [400, 404].contains(error.status) {
                continue
            }
        }
        throw CommandFailure("Error: No such object: \(name)")
    }

    private func text(_ found: [JSONValue], _ template: Template?) throws -> String {
        if let template {
            return try found.map { try template.render(TemplateValue(Self.mayBeAbsent.reduce($0) { $0.completed($1[...]) })) + "\n" }
                .joined()
        }
        if format == "json" { return String(decoding: JSONValue.array(found).serialized(), as: UTF8.self) + "\n" }
        var text = ""
        JSONText.write(.array(found), into: &text, level: 0)
        return text + "\n"
    }
}

extension JSONValue {
    /// The same with a null at the end of the path, where the object that should hold it is there and has nothing of the
    /// name.
    fileprivate func completed(_ path: ArraySlice<String>) -> JSONValue {
        guard case .object(var members) = self, let name = path.first else { return self }
        if let index = members.firstIndex(where: { $0.0 == name }) {
            members[index].1 = members[index].1.completed(path.dropFirst())
        } else if path.count == 1 {
            members.append((name, .null))
        }
        return .object(members)
    }
}

/// JSON as Docker prints it: four blanks a level, empty lists and objects closed on one line.
enum JSONText {
    static func write(_ value: JSONValue, into text: inout String, level: Int) {
        switch value {
        case .array(let elements) where !elements.isEmpty:
            list("[", "]", elements.count, &text, level) { index, text in
                write(elements[index], into: &text, level: level + 1)
            }
        case .object(let members) where !members.isEmpty:
            list("{", "}", members.count, &text, level) { index, text in
                text += String(decoding: JSONValue.string(members[index].0).serialized(), as: UTF8.self) + ": "
                write(members[index].1, into: &text, level: level + 1)
            }
        default: text += String(decoding: value.serialized(), as: UTF8.self)
        }
    }

    private static func list(
        _ open: String, _ close: String, _ count: Int, _ text: inout String, _ level: Int,
        _ element: (Int, inout String) -> Void
    ) {
        text += open
        for index in 0..<count {
            text += (index > 0 ? ",\n" : "\n") + String(repeating: "    ", count: level + 1)
            element(index, &text)
        }
        text += "\n" + String(repeating: "    ", count: level) + close
    }
}
