import OCI

/// A file of the Container Device Interface: the devices of one kind, and what a container has to get for each.
struct CDISpecification: Sendable {
    /// `vendor.com/class`
    let kind: String
    let devices: [(name: String, edits: CDIEdits)]
    /// For every container that gets one of the devices.
    let edits: CDIEdits

    init(_ document: JSONValue) throws(JSONError) {
        guard let version = document["cdiVersion"]?.string, !version.isEmpty else { throw JSONError("cdiVersion is missing") }
        guard let kind = document["kind"]?.string, CDIName.isKind(kind) else {
            throw JSONError("kind \"\(document["kind"]?.string ?? "")\" is not of the form vendor/class")
        }
        self.kind = kind
        var devices: [(name: String, edits: CDIEdits)] = []
        for (index, device) in (document["devices"]?.array ?? []).enumerated() {
            guard let name = device["name"]?.string, CDIName.isDevice(name) else {
                throw JSONError("devices[\(index)] has no valid name")
            }
            devices.append((name, try CDIEdits(device["containerEdits"], "devices[\(index)].containerEdits")))
        }
        guard !devices.isEmpty else { throw JSONError("there are no devices") }
        self.devices = devices
        edits = try CDIEdits(document["containerEdits"], "containerEdits")
    }
}

/// `vendor.com/class=device`
struct CDIName: Sendable, Hashable {
    let kind: String
    let device: String

    /// nil for what is no such name, a path for instance.
    init?(_ text: String) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, Self.isKind(parts[0]), Self.isDevice(parts[1]) else { return nil }
        (kind, device) = (parts[0], parts[1])
    }

    static func isKind(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count == 2 && isWord(parts[0], "_-.") && isWord(parts[1], "_-") && parts.allSatisfy { $0.first?.isLetter == true }
    }

    static func isDevice(_ text: String) -> Bool { isWord(text[...], "_-.:") }

    private static func isWord(_ text: Substring, _ marks: String) -> Bool {
        guard let first = text.first, let last = text.last, first.isLetter || first.isNumber, last.isLetter || last.isNumber else {
            return false
        }
        return text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || marks.contains($0)) }
    }
}

/// What a container gets for a device, in the runtime's terms.
struct CDIEdits: Sendable, Equatable {
    struct Node: Sendable, Equatable {
        var path: String
        var hostPath: String
        var type: String?
        var major: Int64?
        var minor: Int64?
        var fileMode: UInt32?
        var permissions: String
        var uid: UInt32?
        var gid: UInt32?
    }

    var env: [String] = []
    var nodes: [Node] = []
    var mounts: [RuntimeSpec.Mount] = []
    var hooks: [(point: String, hook: RuntimeSpec.Hook)] = []
    var groups: [UInt32] = []

    static func == (left: CDIEdits, right: CDIEdits) -> Bool {
        left.env == right.env && left.nodes == right.nodes && left.mounts == right.mounts && left.groups == right.groups
            && left.hooks.elementsEqual(right.hooks, by: ==)
    }

    static let hookPoints = ["prestart", "createRuntime", "createContainer", "startContainer"]

    init(_ value: JSONValue?, _ path: String) throws(JSONError) {
        guard let value, value != .null else { return }
        guard case .object(let members) = value else { throw JSONError("\(path) is not an object") }
        for (name, value) in members {
            let place = "\(path).\(name)"
            switch name {
            case "env": env = try Self.strings(value, place)
            case "deviceNodes": for (index, node) in try Self.list(value, place) { nodes.append(try Self.node(node, "\(place)[\(index)]")) }
            case "mounts": for (index, mount) in try Self.list(value, place) { mounts.append(try Self.mount(mount, "\(place)[\(index)]")) }
            case "hooks": for (index, hook) in try Self.list(value, place) { hooks.append(try Self.hook(hook, "\(place)[\(index)]")) }
            case "additionalGids":
                for (_, group) in try Self.list(value, place) {
                    guard let number = group.integer.flatMap({ UInt32(exactly: $0) }) else { throw JSONError("\(place) has what is no group") }
                    if number != 0 { groups.append(number) }
                }
            default: throw JSONError("\(place) is not understood")
            }
        }
    }

    private static func node(_ value: JSONValue, _ place: String) throws(JSONError) -> Node {
        guard let path = value["path"]?.string, path.hasPrefix("/") else { throw JSONError("\(place) has no absolute path") }
        let permissions = value["permissions"]?.string ?? ""
        guard permissions.allSatisfy({ "rwm".contains($0) }) else { throw JSONError("\(place) has invalid permissions \(permissions)") }
        func number(_ name: String) -> UInt32? { value[name]?.integer.flatMap { UInt32(exactly: $0) } }
        let given = value["hostPath"]?.string ?? ""
        return Node(
            path: path, hostPath: given.isEmpty ? path : given, type: value["type"]?.string, major: value["major"]?.integer,
            minor: value["minor"]?.integer, fileMode: number("fileMode"), permissions: permissions.isEmpty ? "rwm" : permissions,
            uid: number("uid"), gid: number("gid"))
    }

    private static func mount(_ value: JSONValue, _ place: String) throws(JSONError) -> RuntimeSpec.Mount {
        guard let source = value["hostPath"]?.string, let target = value["containerPath"]?.string, target.hasPrefix("/"), !source.isEmpty else {
            throw JSONError("\(place) lacks hostPath or containerPath")
        }
        var options = try value["options"].map { value throws(JSONError) in try strings(value, "\(place).options") } ?? []
        let type = value["type"]?.string ?? ""
        if type.isEmpty, !options.contains("bind"), !options.contains("rbind") { options.insert("rbind", at: 0) }
        return RuntimeSpec.Mount(destination: target, type: type.isEmpty ? "bind" : type, source: source, options: options)
    }

    private static func hook(_ value: JSONValue, _ place: String) throws(JSONError) -> (String, RuntimeSpec.Hook) {
        guard let path = value["path"]?.string, path.hasPrefix("/") else { throw JSONError("\(place) has no absolute path") }
        let point = value["hookName"]?.string ?? ""
        guard hookPoints.contains(point) else {
            throw JSONError("\(place): hooks at \"\(point)\" are not available, only at \(hookPoints.joined(separator: ", "))")
        }
        let arguments = try value["args"].map { value throws(JSONError) in try strings(value, "\(place).args") } ?? []
        let environment = try value["env"].map { value throws(JSONError) in try strings(value, "\(place).env") }
        return (point, RuntimeSpec.Hook(path: path, args: arguments, env: environment ?? [], timeout: value["timeout"]?.integer))
    }

    private static func list(_ value: JSONValue, _ place: String) throws(JSONError) -> [(Int, JSONValue)] {
        if value == .null { return [] }
        guard let items = value.array else { throw JSONError("\(place) is not a list") }
        return items.enumerated().map { ($0.offset, $0.element) }
    }

    private static func strings(_ value: JSONValue, _ place: String) throws(JSONError) -> [String] {
        var strings: [String] = []
        for (_, item) in try list(value, place) {
            guard let string = item.string else { throw JSONError("\(place) is not a list of texts") }
            strings.append(string)
        }
        return strings
    }
}
