import BuildContext
import FoundationEssentials
import Linux
import SystemPackage

/// `--secret id=NAME[,src=FILE|,env=VARIABLE]`
struct SecretFlag: Sendable, Equatable {
    enum Source: Sendable, Equatable {
        case file(String)
        case variable(String)
    }

    var id: String
    var source: Source

    static func parse(_ text: String, environment: [String: String]) throws -> SecretFlag {
        var (id, file, variable, type) = ("", "", "", "")
        for (name, value) in try BuildFields.pairs(text, of: "secret") {
            switch name {
            case "id": id = value
            case "source", "src": file = value
            case "env": variable = value
            case "type":
                guard ["file", "env"].contains(value) else { throw FlagValueError("unsupported secret type \"\(value)\"") }
                type = value
            default: throw FlagValueError("unexpected key '\(name)' in '\(name)=\(value)'")
            }
        }
        guard !id.isEmpty else { throw FlagValueError("invalid secret: id is missing in \"\(text)\"") }
        // `type=env,src=NAME` is the same as `env=NAME`.
        if type == "env", variable.isEmpty { (variable, file) = (file.isEmpty ? id : file, "") }
        guard variable.isEmpty || file.isEmpty else { throw FlagValueError("a secret comes from a file or a variable, not both") }
        if !variable.isEmpty { return SecretFlag(id: id, source: .variable(variable)) }
        if file.isEmpty, environment[id] != nil { return SecretFlag(id: id, source: .variable(id)) }
        return SecretFlag(id: id, source: .file(file.isEmpty ? id : file))
    }

    /// A variable that is not set gives no secret.
    func value(environment: [String: String], workingDirectory: String) throws -> [UInt8]? {
        switch source {
        case .variable(let name): return environment[name].map { Array($0.utf8) }
        case .file(let path):
            let path = FilePath(Paths.absolute(path, in: workingDirectory))
            do {
                let file = try OwnedFD.open(path, .readOnly)
                guard try fstat(file).size <= 500 << 10 else {
                    throw CommandFailure("secret \(id) from \(path) is too large: max size 500KB")
                }
                return try file.readAll(limit: 500 << 10)
            } catch let error as SystemError {
                throw CommandFailure("failed to stat \(path): \(error.errno)")
            }
        }
    }
}

/// `--ssh default|ID[=SOCKET]`
struct AgentFlag: Sendable, Equatable {
    var id: String
    var socket: String

    static func parse(_ text: String, environment: [String: String]) throws -> AgentFlag {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let id = parts[0].isEmpty ? "default" : parts[0]
        if parts.count == 2 { return AgentFlag(id: id, socket: parts[1]) }
        guard let socket = environment["SSH_AUTH_SOCK"], !socket.isEmpty else {
            throw FlagValueError("invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set")
        }
        return AgentFlag(id: id, socket: socket)
    }

    /// The socket itself, wherever links lead.
    func path(workingDirectory: String) throws -> String {
        let path = Paths.absolute(socket, in: workingDirectory)
        var isDirectory = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw CommandFailure("failed to find the SSH agent: stat \(path): no such file or directory")
        }
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        guard attributes[.type] as? FileAttributeType == .typeSocket else {
            throw CommandFailure("\(path) is no socket: keys in files are not available in this version of Skiff, only an SSH agent is")
        }
        return path
    }
}

/// `--output type=local,dest=DIR`, or only where to.
struct OutputFlag: Sendable, Equatable {
    enum Kind: String, Sendable {
        case local, tar, oci, docker, image, registry
    }

    var kind: Kind
    /// Empty: standard output for an archive, the engine's own store for an image.
    var destination = ""
    /// Names of the image, for `image` and `registry`.
    var names: [String] = []
    var pushes = false
    /// `oci` and `docker`: an archive rather than a folder.
    var isArchive = true
    /// `docker` has a store to go to, so that standard output has to be asked for.
    var isToOutput = false
    /// Of an image.
    var annotations: [BuildAnnotation] = []
    /// In front of the names of attestations among files.
    var attestationPrefix = ""

    /// Whether standard output is where the result goes.
    var isStream: Bool { isToOutput || destination.isEmpty && (kind == .tar || kind == .oci) }

    static func parse(_ text: String) throws -> OutputFlag {
        guard text.contains("=") else {
            return OutputFlag(kind: text == "-" ? .tar : .local, destination: text == "-" ? "" : text)
        }
        let pairs = try BuildFields.pairs(text, of: "output")
        guard let type = pairs.last(where: { $0.0 == "type" })?.1 else { throw FlagValueError("type is required for output") }
        guard let kind = Kind(rawValue: type) else { throw FlagValueError("unsupported output type \"\(type)\"") }
        var output = OutputFlag(kind: kind)
        output.pushes = kind == .registry
        for (name, value) in pairs where name != "type" {
            switch name {
            case "dest":
                output.destination = value == "-" ? "" : value
                output.isToOutput = value == "-" && kind == .docker
            case "name": output.names += value.split(separator: ",").map(String.init)
            case "push": output.pushes = try truth(name, value)
            case "tar": output.isArchive = try truth(name, value)
            case "attestation-prefix" where output.isOfFiles:
                guard !value.contains("/") else { throw FlagValueError("invalid attestation-prefix \"\(value)\": it is a part of a file's name") }
                output.attestationPrefix = value
            default:
                guard !output.isOfFiles, let annotation = try annotation(name, value) else {
                    throw FlagValueError("the option \(name) of an output is not available in this version of Skiff")
                }
                output.annotations.append(annotation)
            }
        }
        if kind == .local, output.destination.isEmpty { throw FlagValueError("dest is required for local output") }
        if !output.isArchive, output.destination.isEmpty { throw FlagValueError("dest is required for output with tar=false") }
        return output
    }

    /// The files of the result, without an image around them.
    var isOfFiles: Bool { kind == .local || kind == .tar }

    private static func annotation(_ option: String, _ value: String) throws -> BuildAnnotation? {
        do {
            return try BuildAnnotation.parse(option: option, value: value)
        } catch {
            throw FlagValueError("\(error)")
        }
    }

    private static func truth(_ name: String, _ value: String) throws -> Bool {
        switch value {
        case "true", "1", "": true
        case "false", "0": false
        default: throw FlagValueError("invalid value \"\(value)\" for \(name)")
        }
    }
}

/// `--build-context NAME=FOLDER|docker-image://…|ADDRESS`
struct ContextFlag: Sendable, Equatable {
    var name: String
    var value: String

    static func parse(_ text: String) throws -> ContextFlag {
        guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
            throw FlagValueError("invalid context value: \(text), expected key=value")
        }
        let value = String(text[text.index(after: equals)...])
        guard !value.isEmpty else { throw FlagValueError("invalid context value: \(text), expected key=value") }
        for prefix in ["oci-layout://", "target:", "input:"] where value.hasPrefix(prefix) {
            throw FlagValueError("a named context of the kind \(prefix) is not available in this version of Skiff")
        }
        return ContextFlag(name: String(text[..<equals]), value: value)
    }

    /// Whether it is a folder of the client.
    var isFolder: Bool { !value.hasPrefix("docker-image://") && !ContextAddress.isAddress(value) }
}

enum BuildFields {
    static func pairs(_ text: String, of what: String) throws -> [(String, String)] {
        guard let fields = CommaSeparated.values(text) else { throw FlagValueError("cannot read \(what) \"\(text)\"") }
        return try fields.map { field in
            guard let equals = field.firstIndex(of: "=") else {
                throw FlagValueError("invalid field '\(field)' must be a key=value pair")
            }
            return (field[..<equals].lowercased(), String(field[field.index(after: equals)...]))
        }
    }
}
