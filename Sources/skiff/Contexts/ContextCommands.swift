import Archive
import EngineClient
import FoundationEssentials
import Linux
import NIOCore
import OCI
import SystemPackage

extension CommandGroup {
    static let context = CommandGroup(
        name: "context", summary: "Manage named engines",
        entries: [
            CommandEntry("create", make: Command.createContext), CommandEntry("export", make: Command.exportContext),
            CommandEntry("import", make: Command.importContext), CommandEntry("inspect", make: Command.inspectContext),
            CommandEntry("ls", "list", make: Command.contexts), CommandEntry("rm", "remove", make: Command.removeContext),
            CommandEntry("show", make: Command.showContext), CommandEntry("update", make: Command.updateContext),
            CommandEntry("use", make: Command.useContext),
        ])
}

extension Command {
    private static let description = Flag<String>.text("description", "What the context is for")
    private static let docker = Flag<[String]>.list("docker", as: "stringToString", "Where the engine is: host=,ca=,cert=,key=,skip-tls-verify=")

    static func createContext() -> Command {
        let from = Flag<String>.text("from", "Take everything over from another context")
        return Command(
            name: "create", usage: "[OPTIONS] CONTEXT", summary: "Make a context", arguments: .exactly(1),
            flags: [description, docker, from], needsEngine: false
        ) { call in
            let name = call.arguments[0]
            let store = ContextStore(environment: call.program.environment)
            try ContextStore.check(name)
            guard !store.exists(name) else { throw CommandFailure("context \"\(name)\" already exists") }
            var context: EngineContextMetadata
            var certificates: [String: [UInt8]] = [:]
            if call[docker].isEmpty {
                let source = call[from].isEmpty ? call.program.access.contextName : call[from]
                context = try call.program.access.context(source).renamed(name)
                if source != ContextStore.standard {
                    certificates = try store.certificates(of: source)
                } else if try call.program.access.standardTLS() != nil {
                    throw CommandFailure("certificates of the environment are not taken over: name them with --docker host=,ca=,cert=,key=")
                }
            } else {
                context = EngineContextMetadata(name: name, description: "", host: "", skipsVerification: false)
                certificates = try EndpointFlags(call[docker]).apply(to: &context)
            }
            if !call[description].isEmpty { context.description = call[description] }
            // First what makes it safe.
            try store.save(certificates, for: name)
            try store.save(context)
            try call.program.print(name)
            try call.program.warn("Successfully created context \"\(name)\"")
            return 0
        }
    }

    static func updateContext() -> Command {
        Command(
            name: "update", usage: "[OPTIONS] CONTEXT", summary: "Change a context", arguments: .exactly(1),
            flags: [description, docker], needsEngine: false
        ) { call in
            let name = call.arguments[0]
            let store = ContextStore(environment: call.program.environment)
            try ContextStore.check(name)
            var context = try store.load(name)
            if call.flags.isGiven(description) { context.description = call[description] }
            if !call[docker].isEmpty { try store.save(try EndpointFlags(call[docker]).apply(to: &context), for: name) }
            try store.save(context)
            try call.program.print(name)
            try call.program.warn("Successfully updated context \"\(name)\"")
            return 0
        }
    }

    static func useContext() -> Command {
        Command(name: "use", usage: "CONTEXT", summary: "Make a context the current one", arguments: .exactly(1), needsEngine: false) { call in
            let name = call.arguments[0]
            if name != ContextStore.standard { _ = try ContextStore(environment: call.program.environment).load(name) }
            var file = try DockerConfigFile(environment: call.program.environment)
            file.currentContext = name == ContextStore.standard ? nil : name
            try file.save()
            try call.program.print(name)
            try call.program.warn("Current context is now \"\(name)\"")
            if let host = call.program.environment["DOCKER_HOST"], !host.isEmpty { try call.program.warn(hostOverrides) }
            return 0
        }
    }

    private static let hostOverrides =
        "Warning: DOCKER_HOST environment variable overrides the active context. To use a context, either set the global --context flag, or unset DOCKER_HOST environment variable."

    static func showContext() -> Command {
        Command(name: "show", usage: "", summary: "Print the name of the current context", arguments: .none, needsEngine: false) { call in
            try call.program.print(call.program.access.contextName)
            return 0
        }
    }

    static func removeContext() -> Command {
        let force = Flag<Bool>.toggle("force", short: "f", "Remove it even if it is the current one")
        return Command(
            name: "rm", usage: "CONTEXT [CONTEXT...]", summary: "Remove contexts", arguments: .atLeast(1), flags: [force], needsEngine: false
        ) { call in
            let store = ContextStore(environment: call.program.environment)
            return try await call.program.forEach(call.arguments) { name in
                guard name != ContextStore.standard else { throw CommandFailure("context \"default\" cannot be removed") }
                guard store.exists(name) else {
                    if call[force] { return }
                    throw CommandFailure("context \"\(name)\" does not exist")
                }
                var file = try DockerConfigFile(environment: call.program.environment)
                if file.currentContext == name || call.program.access.contextName == name {
                    guard call[force] else { throw CommandFailure("context \"\(name)\" is in use, set -f flag to force remove") }
                    file.currentContext = nil
                    try file.save()
                }
                try store.remove(name)
                try call.program.print(name)
            }
        }
    }

    static func contexts() -> Command {
        let format = Flag<String>.text("format", "table, json, or a template in Go's language")
        let quiet = Flag<Bool>.toggle("quiet", short: "q", "Show only names")
        return Command(
            name: "ls", usage: "[OPTIONS]", summary: "List contexts", arguments: .none, flags: [format, quiet], needsEngine: false
        ) { call in
            let access = call.program.access
            let all = ([try access.context(ContextStore.standard)] + ContextStore(environment: call.program.environment).all()).sorted {
                $0.name < $1.name
            }
            if call[quiet], call[format].isEmpty {
                for context in all { try call.program.print(context.name) }
                return 0
            }
            let headers = ["Name": "NAME", "Description": "DESCRIPTION", "DockerEndpoint": "DOCKER ENDPOINT", "Current": "CURRENT", "Error": "ERROR"]
            let isTable = call[format].isEmpty || call[format].hasPrefix("table")
            let rows = all.map { context -> TemplateValue in
                let isCurrent = context.name == access.contextName
                return .object([
                    ("Current", .bool(isCurrent)), ("Description", .string(context.description)),
                    ("DockerEndpoint", .string(context.host)), ("Error", .string("")),
                    ("Name", .string(isCurrent && isTable ? context.name + " *" : context.name)),
                ])
            }
            try call.program.write(
                try Listing(headers: headers, rows: rows).render(
                    format: call[format], usual: "{{.Name}}\t{{.Description}}\t{{.DockerEndpoint}}\t{{.Error}}"))
            if let host = call.program.environment["DOCKER_HOST"], !host.isEmpty { try call.program.warn(hostOverrides) }
            return 0
        }
    }

    static func inspectContext() -> Command {
        let format = Flag<String>.text("format", short: "f", "json, or a template in Go's language")
        return Command(
            name: "inspect", usage: "[OPTIONS] [CONTEXT] [CONTEXT...]", summary: "Show everything about contexts", arguments: .atLeast(0),
            flags: [format], needsEngine: false
        ) { call in
            let names = call.arguments.isEmpty ? [call.program.access.contextName] : call.arguments
            var found: [JSONValue] = []
            var failure: CommandFailure?
            do {
                for name in names { found.append(try ContextInspection(call.program, name).json()) }
            } catch let error as CommandFailure {
                failure = error
            }
            if call[format].isEmpty || call[format] == "json" {
                var text = ""
                JSONText.write(.array(found), into: &text, level: 0)
                try call.program.print(text)
            } else {
                let template = try Template(call[format])
                for context in found { try call.program.print(try template.render(TemplateValue(context))) }
            }
            if let failure { throw failure }
            return 0
        }
    }

    static func exportContext() -> Command {
        Command(
            name: "export", usage: "[OPTIONS] CONTEXT [FILE|-]", summary: "Write a context to a tar archive", arguments: .between(1, 2),
            needsEngine: false
        ) { call in
            let name = call.arguments[0]
            let target = call.arguments.count > 1 ? call.arguments[1] : "\(name).dockercontext"
            if target == "-", StandardStream.output.isTerminal {
                throw CommandFailure("cowardly refusing to export to a terminal, specify a file path")
            }
            let store = ContextStore(environment: call.program.environment)
            let archive = try ContextArchive.write(try store.load(name), try store.certificates(of: name))
            if target == "-" {
                try StandardStream.output.write(archive)
                return 0
            }
            do {
                try OwnedFD.open(FilePath(target), [.writeOnly, .create, .exclusive], mode: 0o600).writeAll(archive)
            } catch let error as SystemError {
                throw CommandFailure("open \(target): \("\(error.errno)".lowercased())")
            }
            try call.program.warn("Written file \"\(target)\"")
            return 0
        }
    }

    static func importContext() -> Command {
        Command(
            name: "import", usage: "CONTEXT FILE|-", summary: "Make a context from a tar archive", arguments: .exactly(2), needsEngine: false
        ) { call in
            let name = call.arguments[0]
            let store = ContextStore(environment: call.program.environment)
            try ContextStore.check(name)
            guard !store.exists(name) else { throw CommandFailure("context \"\(name)\" already exists") }
            let upload = try Upload.opening(call.arguments[1] == "-" ? "" : call.arguments[1])
            var bytes: [UInt8] = []
            while let more = try await upload.next() {
                bytes += Array(more.readableBytesView)
                guard bytes.count <= 10 << 20 else { throw CommandFailure("the archive of the context is too large") }
            }
            let (context, certificates) = try ContextArchive.read(bytes)
            try store.save(certificates, for: name)
            try store.save(context.renamed(name))
            try call.program.print(name)
            try call.program.warn("Successfully imported context \"\(name)\"")
            return 0
        }
    }
}

/// `--docker host=…,ca=…`
private struct EndpointFlags {
    private var values: [String: String] = [:]

    init(_ texts: [String]) throws {
        for field in texts.flatMap({ CommaList.fields($0) }) {
            guard let value = field.value else { throw CommandFailure("\(field.key) must be formatted as key=value") }
            guard ["host", "ca", "cert", "key", "skip-tls-verify", "from"].contains(field.key) else {
                throw CommandFailure("unable to create docker endpoint config: unrecognized config key: \(field.key)")
            }
            values[field.key] = value
        }
        guard values["from"] == nil else { throw CommandFailure("use --from to take a context over") }
    }

    /// Answers the certificates.
    func apply(to context: inout EngineContextMetadata) throws -> [String: [UInt8]] {
        do {
            if let host = values["host"] {
                _ = try EngineAddress(host)
                context.host = host
            }
        } catch {
            throw CommandFailure("unable to create docker endpoint config: unable to apply docker endpoint options: \(error)")
        }
        if let text = values["skip-tls-verify"] {
            guard let flag = ["true": true, "1": true, "t": true, "false": false, "0": false, "f": false][text.lowercased()] else {
                throw CommandFailure(
                    "unable to create docker endpoint config: skip-tls-verify: strconv.ParseBool: parsing \"\(text)\": invalid syntax")
            }
            context.skipsVerification = flag
        }
        var certificates: [String: [UInt8]] = [:]
        for (key, file) in zip(["ca", "cert", "key"], ContextStore.certificateNames) {
            guard let path = values[key] else { continue }
            do {
                certificates[file] = try OwnedFD.open(FilePath(path), .readOnly).readAll(limit: 1 << 20)
            } catch {
                throw CommandFailure("unable to create docker endpoint config: open \(path): \("\(error.errno)".lowercased())")
            }
            guard certificates[file]?.contains(Array("-----BEGIN".utf8)) == true else {
                throw CommandFailure(
                    "unable to create docker endpoint config: invalid docker endpoint options: failed to retrieve context tls info: \(file) seems invalid"
                )
            }
        }
        return certificates
    }
}

private struct ContextInspection {
    let context: EngineContextMetadata
    let storage: (metadata: String, certificates: String)
    let files: [String]

    init(_ program: Program, _ name: String) throws {
        context = try program.access.context(name)
        guard name != ContextStore.standard else {
            (storage, files) = (("<IN MEMORY>", "<IN MEMORY>"), [])
            return
        }
        let store = ContextStore(environment: program.environment)
        storage = (store.metadataFolder(name).string, store.certificateFolder(name).string)
        files = try store.certificates(of: name).keys.sorted()
    }

    func json() -> JSONValue {
        let isStandard = context.name == ContextStore.standard
        return .object([
            ("Name", .string(context.name)), ("Metadata", isStandard ? .object([]) : context.metadata), ("Endpoints", context.endpoints),
            ("TLSMaterial", files.isEmpty ? .object([]) : .object([("docker", .array(files.map(JSONValue.string)))])),
            ("Storage", .object([("MetadataPath", .string(storage.metadata)), ("TLSPath", .string(storage.certificates))])),
        ])
    }
}

/// A context as one file: `meta.json`, and `tls/docker/` with its certificates.
private enum ContextArchive {
    static func write(_ context: EngineContextMetadata, _ certificates: [String: [UInt8]]) throws -> [UInt8] {
        let sink = MemorySink()
        let writer = TarWriter(sink)
        try writer.write(TarEntry(path: Array("meta.json".utf8), kind: .file, mode: 0o644), content: context.json.serialized())
        try writer.begin(TarEntry(path: Array("tls".utf8), kind: .directory, mode: 0o700))
        if !certificates.isEmpty { try writer.begin(TarEntry(path: Array("tls/docker".utf8), kind: .directory, mode: 0o700)) }
        for (name, bytes) in certificates.sorted(by: { $0.key < $1.key }) {
            try writer.write(TarEntry(path: Array("tls/docker/\(name)".utf8), kind: .file, mode: 0o600), content: bytes)
        }
        try writer.finish()
        return sink.bytes
    }

    static func read(_ bytes: [UInt8]) throws -> (EngineContextMetadata, [String: [UInt8]]) {
        if bytes.starts(with: Array("PK".utf8)) {
            throw CommandFailure("zip archives are not understood: a context is imported from a tar archive")
        }
        var context: EngineContextMetadata?
        var certificates: [String: [UInt8]] = [:]
        do {
            let reader = TarReader(MemorySource(bytes))
            while let entry = try reader.next() {
                guard entry.kind == .file else { continue }
                let name = String(decoding: entry.path, as: UTF8.self)
                let content = try content(of: reader)
                if name == "meta.json" {
                    context = try EngineContextMetadata(JSONValue.parse(content))
                } else if let file = ContextStore.certificateNames.first(where: { name == "tls/docker/\($0)" }) {
                    certificates[file] = content
                }
            }
        } catch let error as ArchiveError {
            throw CommandFailure("unexpected context file: \(error)")
        } catch let error as JSONError {
            throw CommandFailure("unexpected context file: \(error)")
        }
        guard let context else { throw CommandFailure("invalid context: no metadata found") }
        return (context, certificates)
    }

    private static func content(of reader: TarReader) throws -> [UInt8] {
        var bytes: [UInt8] = []
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
        defer { buffer.deallocate() }
        while case let count = try reader.read(into: buffer), count > 0 { bytes += buffer[..<count] }
        return bytes
    }
}
