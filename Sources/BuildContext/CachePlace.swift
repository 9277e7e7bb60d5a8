/// Where a build's cache comes from or goes to: an image's name, `type=registry,ref=NAME`, `type=local,src=FOLDER`, `type=inline`.
package struct CachePlace: Sendable, Equatable {
    package enum Kind: String, Sendable {
        /// An image's name and nothing else: one that is here and has a cache in it, or else the registry's.
        case image
        case registry
        /// A folder of the client.
        case local
        /// In the image that is built.
        case inline
    }

    package struct Failure: Error, Equatable, CustomStringConvertible {
        package let description: String
        package init(_ description: String) { self.description = description }
    }

    package var kind: Kind
    /// Of an image or a cache in a registry.
    package var reference = ""
    package var folder = ""
    /// Which of several caches in a folder.
    package var tag = "latest"
    /// All stages rather than what the result consists of.
    package var takesAll = false
    /// What commands keep with `RUN --mount=type=cache`, too.
    package var takesMounts = false
    /// "gzip", "zstd", "uncompressed"; empty: what is there.
    package var compression = ""
    /// The build counts even if the cache cannot be written.
    package var ignoresErrors = false

    package init(_ kind: Kind, reference: String = "") {
        self.kind = kind
        self.reference = reference
    }

    /// The value of `--cache-from`.
    package static func source(_ text: String) throws(Failure) -> CachePlace {
        guard text.contains("=") else { return CachePlace(.image, reference: text) }
        let (type, options) = try fields(text)
        guard let kind = Kind(rawValue: type), kind != .inline, kind != .image else { throw Failure("unknown cache importer: \(type)") }
        var place = CachePlace(kind)
        for (name, value) in options {
            switch (kind, name) {
            case (.registry, "ref"): place.reference = value
            case (.local, "src"): place.folder = value
            case (.local, "tag"): place.tag = value
            case (.registry, "mounts"), (.local, "mounts"): place.takesMounts = try truth(name, value)
            default: throw unknown(name)
            }
        }
        if kind == .registry, place.reference.isEmpty { throw Failure("registry cache importer requires ref") }
        if kind == .local, place.folder.isEmpty { throw Failure("local cache importer requires src") }
        return place
    }

    /// The value of `--cache-to`.
    package static func target(_ text: String) throws(Failure) -> CachePlace {
        guard text.contains("=") else {
            var place = CachePlace(.registry, reference: text)
            if text == "inline" { place = CachePlace(.inline) }
            return place
        }
        let (type, options) = try fields(text)
        guard let kind = Kind(rawValue: type), kind != .image else { throw Failure("unknown cache exporter: \(type)") }
        var place = CachePlace(kind)
        for (name, value) in options { try place.set(name, value) }
        if kind == .registry, place.reference.isEmpty { throw Failure("registry cache exporter requires ref") }
        if kind == .local, place.folder.isEmpty { throw Failure("local cache exporter requires dest") }
        return place
    }

    private mutating func set(_ name: String, _ value: String) throws(Failure) {
        switch (kind, name) {
        case (.registry, "ref"): reference = value
        case (.local, "dest"): folder = value
        case (.local, "tag"): tag = value
        case (.registry, "mode"), (.local, "mode"), (.inline, "mode"):
            guard ["min", "max"].contains(value) else { throw Failure("invalid cache mode \"\(value)\": min or max is possible") }
            guard kind != .inline || value == "min" else {
                throw Failure("an inline cache has the steps of the result only: mode=max is not possible")
            }
            takesAll = value == "max"
        case (.registry, "compression"), (.local, "compression"):
            guard ["gzip", "zstd", "uncompressed"].contains(value) else {
                throw Failure("unsupported compression \"\(value)\": gzip, zstd or uncompressed is possible")
            }
            compression = value
        case (.registry, "ignore-error"), (.local, "ignore-error"): ignoresErrors = try Self.truth(name, value)
        case (.registry, "mounts"), (.local, "mounts"): takesMounts = try Self.truth(name, value)
        // What is so anyway.
        case (.registry, "image-manifest"), (.local, "image-manifest"), (.registry, "oci-mediatypes"), (.local, "oci-mediatypes"):
            guard try Self.truth(name, value) else { throw Failure("\(name)=false is not available in this version of Skiff") }
        default: throw Self.unknown(name)
        }
    }

    /// As `source` and `target` read it.
    package var text: String {
        if kind == .image { return reference }
        var fields = ["type=\(kind.rawValue)"]
        if kind == .registry { fields.append("ref=\(reference)") }
        if kind == .local { fields += ["\(isSource ? "src" : "dest")=\(folder)", "tag=\(tag)"] }
        if takesAll { fields.append("mode=max") }
        if !compression.isEmpty { fields.append("compression=\(compression)") }
        if takesMounts { fields.append("mounts=true") }
        if ignoresErrors { fields.append("ignore-error=true") }
        return fields.map(CommaSeparated.field).joined(separator: ",")
    }

    /// Whether the folder is one to read from; only what is handed in for the engine is.
    private var isSource: Bool { folder.hasPrefix(Self.deposit) }

    /// In front of the name of what a client has handed in.
    package static let deposit = "deposit:"

    private static func fields(_ text: String) throws(Failure) -> (type: String, options: [(String, String)]) {
        guard let values = CommaSeparated.values(text) else { throw Failure("cannot read cache \"\(text)\"") }
        var (type, options): (String, [(String, String)]) = ("", [])
        for value in values {
            guard let equals = value.firstIndex(of: "=") else { throw Failure("invalid value \(value): must be a key=value pair") }
            let (name, content) = (value[..<equals].lowercased(), String(value[value.index(after: equals)...]))
            if name == "type" { type = content } else { options.append((name, content)) }
        }
        guard !type.isEmpty else { throw Failure("type required form> \"\(text)\"") }
        return (type, options)
    }

    private static func truth(_ name: String, _ value: String) throws(Failure) -> Bool {
        switch value {
        case "true", "1": true
        case "false", "0": false
        default: throw Failure("invalid value \"\(value)\" for \(name)")
        }
    }

    private static func unknown(_ name: String) -> Failure {
        Failure("the option \(name) of a cache is not available in this version of Skiff")
    }
}
