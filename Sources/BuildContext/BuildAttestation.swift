/// A statement that a build makes about its image: `type=provenance[,mode=min|max][,version=v0.2|v1]…` or `type=sbom` of `--attest`.
package enum BuildAttestation: Sendable, Equatable {
    case provenance(Provenance)
    case sbom(isForImages: Bool)

    package struct Provenance: Sendable, Equatable {
        /// With the values of arguments, labels and the Dockerfile.
        package var isFull = false
        package var version = Version.v02
        package var builderID = ""
        /// What the user says of the build.
        package var isReproducible = false
        package var isForImages = false

        package init() {}
    }

    /// Of SLSA's provenance.
    package enum Version: String, Sendable {
        case v02 = "v0.2"
        case v1
    }

    package struct Failure: Error, Equatable, CustomStringConvertible {
        package let description: String
    }

    /// What a build is asked for: the values of `--attest`, and those of `--provenance` and `--sbom`, which are empty where they are
    /// not given.
    package static func parse(_ texts: [String], provenance: String = "", sbom: String = "") throws(Failure) -> [BuildAttestation] {
        var found: [String: BuildAttestation?] = [:]
        for text in texts + [short("provenance", provenance), short("sbom", sbom)] where !text.isEmpty {
            let (type, options) = try fields(text)
            guard found[type] == nil else { throw Failure(description: "duplicate attestation field \(type)") }
            found[type] = .some(try made(type, options))
        }
        return found.sorted { $0.key > $1.key }.compactMap(\.value)
    }

    /// The value of `--attest` that means the same.
    package var text: String {
        switch self {
        case .sbom(let isForImages): "type=sbom" + (isForImages ? ",inline-only=true" : "")
        case .provenance(let wanted):
            "type=provenance,mode=\(wanted.isFull ? "max" : "min"),version=\(wanted.version.rawValue)"
                + (wanted.builderID.isEmpty ? "" : "," + CommaSeparated.field("builder-id=\(wanted.builderID)"))
                + (wanted.isReproducible ? ",reproducible=true" : "") + (wanted.isForImages ? ",inline-only=true" : "")
        }
    }

    /// `true`, `false`, or options.
    private static func short(_ type: String, _ value: String) -> String {
        if value.isEmpty { return "" }
        return "type=\(type)," + (truth(value).map { "disabled=\(!$0)" } ?? value)
    }

    private static func fields(_ text: String) throws(Failure) -> (type: String, options: [(name: String, value: String)]) {
        guard let fields = CommaSeparated.values(text) else { throw Failure(description: "invalid value \(text)") }
        var type = ""
        var options: [(name: String, value: String)] = []
        for field in fields {
            guard let equals = field.firstIndex(of: "=") else { throw Failure(description: "invalid value \(field)") }
            let (name, value) = (field[..<equals].lowercased(), String(field[field.index(after: equals)...]))
            if name == "type" { type = value } else { options.append((name, value)) }
        }
        if type.isEmpty { throw Failure(description: "attestation type not specified") }
        return (type, options)
    }

    /// Nil when it is switched off.
    private static func made(_ type: String, _ options: [(name: String, value: String)]) throws(Failure) -> BuildAttestation? {
        var wanted = Provenance()
        var isDisabled = false
        for (name, value) in options {
            switch (type, name, value) {
            case (_, "disabled", _): isDisabled = try bool(name, value)
            case (_, "inline-only", _): wanted.isForImages = try bool(name, value)
            case ("provenance", "mode", "min"): wanted.isFull = false
            case ("provenance", "mode", "max"), ("provenance", "mode", "full"): wanted.isFull = true
            case ("provenance", "mode", _): throw Failure(description: "invalid mode \(GoQuote.quoted(value))")
            case ("provenance", "version", _):
                guard let version = Version(rawValue: value) else { throw Failure(description: "invalid provenance SLSA version: \(value)") }
                wanted.version = version
            case ("provenance", "builder-id", _): wanted.builderID = value
            case ("provenance", "reproducible", _): wanted.isReproducible = try bool(name, value)
            case ("sbom", "generator", _):
                throw Failure(description: "no generator can be chosen for an SBOM: the engine makes it itself of the files of the image")
            default: throw Failure(description: "unknown option \(name) of an attestation of type \(type)")
            }
        }
        switch type {
        case "provenance": return isDisabled ? nil : .provenance(wanted)
        case "sbom": return isDisabled ? nil : .sbom(isForImages: wanted.isForImages)
        default: throw Failure(description: "unknown attestation type \(GoQuote.quoted(type)): one of provenance, sbom is possible")
        }
    }

    private static func bool(_ name: String, _ value: String) throws(Failure) -> Bool {
        guard let truth = truth(value) else { throw Failure(description: "invalid value \(name)=\(value)") }
        return truth
    }

    /// As Go reads it.
    private static func truth(_ text: String) -> Bool? {
        switch text {
        case "1", "t", "T", "true", "TRUE", "True": true
        case "0", "f", "F", "false", "FALSE", "False": false
        default: nil
        }
    }
}
