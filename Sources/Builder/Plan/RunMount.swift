import BuildContext

/// One `RUN --mount=…`: something that a command sees for as long as it runs.
struct RunMount: Sendable, Equatable {
    enum Kind: String, Sendable {
        case bind, cache, tmpfs, secret, ssh
    }

    /// Who may use a cache at a time.
    enum Sharing: String, Sendable {
        /// Everybody.
        case shared
        /// Everybody has one of their own; another is made while the first is in use.
        case `private`
        /// One after the other.
        case locked
    }

    var kind = Kind.bind
    var from: String?
    var source = ""
    /// As it was written: what is relative begins in the working directory.
    var target = ""
    var readOnly = false
    var id = ""
    var sharing = Sharing.shared
    var isRequired = false
    /// Of a tmpfs; 0 is the kernel's own limit.
    var sizeBytes: Int64 = 0
    var mode: UInt32?
    var uid: UInt32?
    var gid: UInt32?
    /// The variable that a secret goes into.
    var variable: String?

    /// Which of the client's agents is meant.
    var agentID: String { id.isEmpty ? "default" : id }
}

extension RunMount {
    /// Expands the variables of a value.
    typealias Expansion = (String) throws(BuildError) -> String

    /// Looks at what can be judged without knowing any variable.
    static func check(_ text: String) throws(BuildError) {
        for field in try fields(text) {
            guard let (name, value) = field.splitOnce("=") else { continue }
            guard name.lowercased() == "from" else { continue }
            if hasVariable(value) {
                throw .invalid("'from' doesn't support variable expansion, define alias stage instead")
            }
        }
        // With variables its values are not known yet.
        if !hasVariable(text) { _ = try RunMount(text) { text throws(BuildError) in text } }
    }

    /// The stage or image that a mount is taken from, without looking at the rest of it.
    static func from(_ text: String) -> String? {
        // What cannot be read is told by `check`.
        let fields = CommaSeparated.values(text) ?? []
        return fields.compactMap { $0.splitOnce("=") }.last { $0.0.lowercased() == "from" }?.1
    }

    private static func fields(_ text: String) throws(BuildError) -> [String] {
        guard let fields = CommaSeparated.values(text) else {
            throw .invalid("failed to parse mount \(GoQuote.quoted(text)) as comma-separated values")
        }
        return fields
    }

    private static func hasVariable(_ text: String) -> Bool {
        guard let (_, rest) = text.splitOnce("$") else { return false }
        return !rest.isEmpty
    }

    init(_ text: String, expand: Expansion) throws(BuildError) {
        var parser = RunMountParser()
        for field in try Self.fields(text) { try parser.read(field, expand) }
        self = try parser.finish()
    }
}

/// Reads the fields of a mount one after the other.
private struct RunMountParser {
    var mount = RunMount()
    var readOnly: Bool?
    var sharing: RunMount.Sharing?

    mutating func read(_ field: String, _ expand: RunMount.Expansion) throws(BuildError) {
        guard let (name, text) = field.splitOnce("=") else { return try readSwitch(field) }
        let key = name.lowercased()
        let value = key == "from" ? text : try expand(text)
        switch key {
        case "type":
            guard let kind = RunMount.Kind(rawValue: value) else {
                throw .invalid("unsupported mount type \(GoQuote.quoted(value))" + suggestion(value, RunMountParser.kinds))
            }
            mount.kind = kind
        case "from": mount.from = value
        case "source", "src": mount.source = value
        case "target", "dst", "destination": mount.target = value
        case "readonly", "ro": readOnly = try boolean(key, value)
        case "readwrite", "rw": readOnly = !(try boolean(key, value))
        case "required": try setRequired(try boolean(key, value))
        case "size":
            guard mount.kind == .tmpfs else { throw unexpected(key) }
            guard let size = ByteAmount.bytes(value) else { throw .invalid("invalid value for \(key): \(value)") }
            mount.sizeBytes = size
        case "id": mount.id = value
        case "sharing":
            guard let found = RunMount.Sharing(rawValue: value) else {
                throw .invalid("unsupported sharing value \(GoQuote.quoted(value))")
            }
            sharing = found
        case "mode": mount.mode = try number(key, value, radix: 8)
        case "uid": mount.uid = try number(key, value, radix: 10)
        case "gid": mount.gid = try number(key, value, radix: 10)
        case "env": mount.variable = value
        default:
            throw .invalid("unexpected key '\(key)' in '\(field)'" + suggestion(key, RunMountParser.keys))
        }
    }

    private mutating func readSwitch(_ field: String) throws(BuildError) {
        switch field.lowercased() {
        case "readonly", "ro": readOnly = true
        case "readwrite", "rw": readOnly = false
        case "required": try setRequired(true)
        default: throw .invalid("invalid field '\(field)' must be a key=value pair")
        }
    }

    private mutating func setRequired(_ value: Bool) throws(BuildError) {
        guard mount.kind == .secret || mount.kind == .ssh else { throw unexpected("required") }
        mount.isRequired = value
    }

    mutating func finish() throws(BuildError) -> RunMount {
        let kind = mount.kind
        if ![.secret, .ssh, .cache].contains(kind) {
            for (name, value) in [("mode", mount.mode), ("uid", mount.uid), ("gid", mount.gid)] where value != nil {
                throw .invalid("\(name) not allowed for \(GoQuote.quoted(kind.rawValue)) type mounts")
            }
        }
        mount.readOnly = readOnly ?? (kind != .cache && kind != .tmpfs)
        if let sharing {
            guard kind == .cache else { throw .invalid("invalid cache sharing set for \(kind.rawValue) mount") }
            mount.sharing = sharing
        }
        if mount.variable != nil, kind != .secret { throw unexpected("env") }
        if kind == .secret { try finishSecret() }
        if kind == .ssh || kind == .tmpfs, mount.from != nil { throw .invalid("\(kind.rawValue) mount should not have a from") }
        if mount.target.isEmpty, ![.secret, .ssh].contains(kind) {
            throw .invalid("invalid mount target \(GoQuote.quoted(mount.target))")
        }
        return mount
    }

    private mutating func finishSecret() throws(BuildError) {
        if mount.from != nil { throw .invalid("secret mount should not have a from") }
        if mount.source.isEmpty && mount.target.isEmpty && mount.id.isEmpty {
            throw .invalid("invalid secret mount. one of source, target required")
        }
        if !mount.source.isEmpty && !mount.id.isEmpty { throw .invalid("both source and id can't be set") }
        if mount.id.isEmpty { mount.id = mount.source }
        if mount.id.isEmpty { mount.id = mount.target.split(separator: "/").last.map(String.init) ?? "" }
    }

    // MARK: Values

    private func unexpected(_ key: String) -> BuildError {
        .invalid("unexpected key '\(key)' for mount type '\(mount.kind.rawValue)'")
    }

    private func boolean(_ key: String, _ value: String) throws(BuildError) -> Bool {
        switch value {
        case "1", "t", "T", "TRUE", "true", "True": true
        case "0", "f", "F", "FALSE", "false", "False": false
        default: throw .invalid("invalid value for \(key): \(value)")
        }
    }

    private func number(_ key: String, _ value: String, radix: Int) throws(BuildError) -> UInt32 {
        guard !value.hasPrefix("+"), let number = UInt32(value, radix: radix), number != .max, key != "mode" || number <= 0o7777 else {
            throw .invalid("invalid value \(value) for \(key)")
        }
        return number
    }

    private func suggestion(_ word: String, _ known: [String]) -> String {
        Suggestion.nearest(to: word, among: known).map { " (did you mean \($0)?)" } ?? ""
    }

    private static let kinds = ["bind", "cache", "tmpfs", "secret", "ssh"]
    private static let keys = [
        "type", "from", "source", "target", "readonly", "id", "sharing", "required", "size", "mode", "uid", "gid", "src",
        "dst", "destination", "ro", "rw", "readwrite", "env",
    ]
}
