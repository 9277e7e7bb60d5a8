import Crypto
import FoundationEssentials
import Linux
import OCI
import SystemPackage

/// The named engines of the user, in Docker's own form and place:
///
/// ```
/// contexts/meta/<sha256 of the name>/meta.json
/// contexts/tls/<sha256 of the name>/docker/{ca,cert,key}.pem
/// ```
struct ContextStore: Sendable {
    static let standard = "default"
    /// Of the files in the folder of certificates.
    static let certificateNames = ["ca.pem", "cert.pem", "key.pem"]

    private let folder: FilePath

    init(environment: [String: String]) {
        folder = DockerConfigFile.folder(environment).appending("contexts")
    }

    func metadataFolder(_ name: String) -> FilePath { folder.appending("meta").appending(Self.digest(name)) }
    func certificateFolder(_ name: String) -> FilePath { folder.appending("tls").appending(Self.digest(name)) }

    private static func digest(_ name: String) -> String {
        SHA256.hash(data: Array(name.utf8)).map { byte in
            let digits = String(byte, radix: 16)
            return byte < 16 ? "0" + digits : digits
        }.joined()
    }

    static func check(_ name: String) throws {
        guard name != standard else { throw CommandFailure("\"default\" is a reserved context name") }
        let bytes = Array(name.utf8)
        func isWord(_ byte: UInt8) -> Bool { (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) }
        guard bytes.count >= 2, isWord(bytes[0]), bytes.allSatisfy({ isWord($0) || "_.+-".utf8.contains($0) }) else {
            throw CommandFailure(
                "context name \"\(name)\" is invalid, names are validated against regexp \"^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$\"")
        }
    }

    func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: metadataFolder(name).appending("meta.json").string) }

    func load(_ name: String) throws -> EngineContextMetadata {
        let file = metadataFolder(name).appending("meta.json")
        do {
            return try EngineContextMetadata(JSONValue.parse(try OwnedFD.open(file, .readOnly).readAll(limit: 1 << 20)))
        } catch let error as SystemError {
            throw CommandFailure("context \"\(name)\": context not found: open \(file): \("\(error.errno)".lowercased())")
        } catch let error as JSONError {
            throw CommandFailure("context \"\(name)\": \(error)")
        }
    }

    /// By name. What cannot be read is left out.
    func all() -> [EngineContextMetadata] {
        // No folder: no contexts.
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.appending("meta").string)) ?? []
        return names.compactMap { name in
            let file = folder.appending("meta").appending(name).appending("meta.json")
            guard let bytes = try? OwnedFD.open(file, .readOnly).readAll(limit: 1 << 20) else { return nil }
            return try? EngineContextMetadata(JSONValue.parse(bytes))  // See above.
        }.sorted { $0.name < $1.name }
    }

    func save(_ context: EngineContextMetadata) throws {
        let folder = metadataFolder(context.name)
        try Self.makeFolder(folder, 0o755)
        try writeAtomically(context.json.serialized(), to: folder.appending("meta.json"), mode: 0o644, sync: false)
    }

    /// Puts the files in place of those that were there; they are for their owner only.
    func save(_ certificates: [String: [UInt8]], for name: String) throws {
        let folder = certificateFolder(name)
        try removeTree(folder)
        guard !certificates.isEmpty else { return }
        try Self.makeFolder(folder.appending("docker"), 0o700)
        for (file, bytes) in certificates {
            try writeAtomically(bytes, to: folder.appending("docker").appending(file), mode: 0o600, sync: false)
        }
    }

    func certificates(of name: String) throws -> [String: [UInt8]] {
        var found: [String: [UInt8]] = [:]
        for file in Self.certificateNames {
            let path = certificateFolder(name).appending("docker").appending(file)
            guard FileManager.default.fileExists(atPath: path.string) else { continue }
            found[file] = try OwnedFD.open(path, .readOnly).readAll(limit: 1 << 20)
        }
        return found
    }

    func remove(_ name: String) throws {
        try removeTree(metadataFolder(name))
        try removeTree(certificateFolder(name))
    }

    private static func makeFolder(_ path: FilePath, _ mode: Int) throws {
        try FileManager.default.createDirectory(
            atPath: path.string, withIntermediateDirectories: true, attributes: [.posixPermissions: mode])
    }
}

/// `meta.json` of a context: where its engine is. What we do not know of it stays as it is.
struct EngineContextMetadata: Sendable {
    let name: String
    var description: String
    var host: String
    var skipsVerification: Bool
    private let others: [(String, JSONValue)]

    init(name: String, description: String, host: String, skipsVerification: Bool) {
        (self.name, self.description, self.host, self.skipsVerification) = (name, description, host, skipsVerification)
        others = []
    }

    init(_ json: JSONValue) throws(JSONError) {
        guard let name = json["Name"]?.string else { throw JSONError("meta.json has no Name") }
        self.name = name
        description = json["Metadata"]?["Description"]?.string ?? ""
        host = json["Endpoints"]?["docker"]?["Host"]?.string ?? ""
        skipsVerification = json["Endpoints"]?["docker"]?["SkipTLSVerify"]?.boolean ?? false
        if case .object(let members)? = json["Metadata"] { others = members.filter { $0.0 != "Description" } } else { others = [] }
    }

    /// The same under another name.
    func renamed(_ name: String) -> EngineContextMetadata {
        EngineContextMetadata(name: name, description: description, host: host, skipsVerification: skipsVerification)
    }

    var metadata: JSONValue { .object((description.isEmpty ? [] : [("Description", .string(description))]) + others) }

    var endpoints: JSONValue {
        .object([("docker", .object([("Host", .string(host)), ("SkipTLSVerify", .bool(skipsVerification))]))])
    }

    var json: JSONValue { .object([("Name", .string(name)), ("Metadata", metadata), ("Endpoints", endpoints)]) }
}
