import BuildContext
import FoundationEssentials
import Images
import OCI

/// What a build was made of and how, in the words of SLSA and of BuildKit. There is no time in it and nothing made up for this one
/// build, so that the same build says the same; the values of secrets are not known here.
///
/// <https://slsa.dev/spec/v0.2/provenance>, <https://slsa.dev/spec/v1.1/provenance>
struct Provenance {
    let wanted: BuildAttestation.Provenance
    let request: BuildRequest
    /// What the build has taken from elsewhere.
    let lock: LockFile
    let dockerfile: [UInt8]

    var predicateType: String {
        switch wanted.version {
        case .v02: PredicateType.provenanceV02
        case .v1: PredicateType.provenanceV1
        }
    }

    var predicate: JSONValue {
        switch wanted.version {
        case .v02: v02
        case .v1: v1
        }
    }

    private var v02: JSONValue {
        let completeness: JSONValue = [
            "environment": true, "materials": .bool(hasAllMaterials), "parameters": .bool(hasAllArguments),
        ]
        return .object([
            ("builder", ["id": .string(wanted.builderID)]), ("buildType", "https://mobyproject.org/buildkit@v1"),
            ("materials", .array(materials)),
            (
                "invocation",
                [
                    "configSource": source(dockerfile: "entryPoint"), "environment": ["platform": .string("\(Platform.host)")],
                    "parameters": parameters,
                ]
            ),
            (
                "metadata",
                .object(
                    [("completeness", completeness), ("reproducible", .bool(wanted.isReproducible))]
                        + member("https://mobyproject.org/buildkit@v1#metadata", metadata))
            ),
        ])
    }

    private var v1: JSONValue {
        let metadata: [(String, JSONValue)] = [
            ("buildkit_completeness", ["request": .bool(hasAllArguments), "resolvedDependencies": .bool(hasAllMaterials)]),
            ("buildkit_reproducible", .bool(wanted.isReproducible)),
        ]
        return [
            "buildDefinition": [
                "buildType": "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md",
                "externalParameters": ["configSource": source(dockerfile: "path"), "request": parameters],
                "internalParameters": ["builderPlatform": .string("\(Platform.host)")],
                "resolvedDependencies": .array(materials),
            ],
            "runDetails": [
                "builder": ["id": .string(wanted.builderID)],
                "metadata": .object(metadata + member("buildkit_metadata", self.metadata)),
            ],
        ]
    }

    /// None where there is no value.
    private func member(_ name: String, _ value: JSONValue?) -> [(String, JSONValue)] { value.map { [(name, $0)] } ?? [] }

    // MARK: What was taken

    private var materials: [JSONValue] {
        var found: [JSONValue] = []
        for (name, platforms) in lock.images.sorted(by: { $0.key < $1.key }) {
            guard let reference = try? Reference(name), let image = platforms["\(Platform.host)"] else { continue }  // We made the name.
            // One that came from no registry has no digest there.
            let url = PackageURL(image: reference, platform: .host, type: image.digest == nil ? "oci" : "docker")
            found.append(Self.material(url.text, Self.digests(image.digest ?? image.id)))
        }
        for (address, commit) in lock.repositories.sorted(by: { $0.key < $1.key }) { found.append(Self.material(address, Self.digests(commit))) }
        for (address, digest) in lock.files.sorted(by: { $0.key < $1.key }) { found.append(Self.material(address, Self.digests(digest))) }
        return found
    }

    private static func material(_ uri: String, _ digests: JSONValue) -> JSONValue { ["digest": digests, "uri": .string(uri)] }

    private static func digests(_ digest: Digest) -> JSONValue { .object([(digest.algorithm.rawValue, .string(digest.hex))]) }

    private static func digests(_ commit: String) -> JSONValue { .object([(commit.utf8.count == 64 ? "sha256" : "sha1", .string(commit))]) }

    /// A folder of the client has no digest that somebody else could look for.
    private var hasAllMaterials: Bool { locals.isEmpty }

    /// Where the Dockerfile comes from.
    private func source(dockerfile member: String) -> JSONValue {
        var members: [(String, JSONValue)] = []
        if let address = request.contextAddress {
            let file = AddressText.key(address)
            let digests = lock.repositories[address].map(Self.digests) ?? lock.files[file].map(Self.digests)
            if let digests { members.append(("digest", digests)) }
            members.append(("uri", .string(lock.repositories[address] == nil ? file : address)))
        }
        if case .inContext = request.dockerfile { members.append((member, .string(dockerfileName))) }
        return .object(members)
    }

    /// A file from outside the context has a name there that was made up for this one build.
    private var dockerfileName: String {
        guard case .inContext(let path) = request.dockerfile else { return "Dockerfile" }
        let sign = ".dockerfile."
        let number = path.utf8.dropFirst(sign.utf8.count)
        let isMadeUp = path.hasPrefix(sign) && (1...20).contains(number.count) && number.allSatisfy("0123456789abcdef".utf8.contains)
        return isMadeUp ? "Dockerfile" : path
    }

    // MARK: What was asked for

    /// In `mode=min` nothing is left of arguments, labels and secrets, not even their names.
    private var parameters: JSONValue {
        var members: [(String, JSONValue)] = [("frontend", "dockerfile.v0"), ("args", .object(arguments))]
        if !locals.isEmpty { members.append(("locals", .array(locals.map { ["name": .string($0)] }))) }
        guard wanted.isFull else { return .object(members) }
        for (name, ids) in [("secrets", request.secrets.keys.sorted()), ("ssh", request.agents.keys.sorted())] where !ids.isEmpty {
            members.append((name, .array(ids.map { ["id": .string($0), "optional": true] })))
        }
        return .object(members)
    }

    private var arguments: [(String, JSONValue)] {
        var found: [(String, String)] = []
        if let target = request.target { found.append(("target", target)) }
        if request.networkMode != "default" { found.append(("force-network-mode", request.networkMode)) }
        if request.noCache || !request.noCacheStages.isEmpty {
            // Empty: of all stages.
            found.append(("no-cache", request.noCache ? "" : request.noCacheStages.sorted().joined(separator: ",")))
        }
        if !request.limits.extraHosts.isEmpty { found.append(("add-hosts", request.limits.extraHosts.joined(separator: ","))) }
        if wanted.isFull {
            for (name, value) in request.buildArgs where !Self.isProxy(name) { if let value { found.append(("build-arg:\(name)", value)) } }
            found += request.labels.map { ("label:\($0.key)", $0.value) }
        }
        return found.sorted { $0.0 < $1.0 }.map { ($0.0, .string($0.1)) }
    }

    private var hasAllArguments: Bool {
        let given = request.buildArgs.filter { $0.value != nil }.keys
        return wanted.isFull ? !given.contains(where: Self.isProxy) : given.isEmpty && request.labels.isEmpty
    }

    /// The address of a proxy may have a password in it, and says nothing of the result.
    private static func isProxy(_ name: String) -> Bool {
        ["http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"].contains(name.lowercased())
    }

    /// Folders of the client.
    private var locals: [String] {
        let contexts = request.namedContexts.filter { if case .directory = $0.value { true } else { false } }.keys
            .filter { request.contextAddresses[$0] == nil }
        return (request.contextAddress == nil ? ["context", "dockerfile"] : []) + contexts.sorted().map { "context:\($0)" }
    }

    /// In `mode=max` the Dockerfile itself.
    private var metadata: JSONValue? {
        guard wanted.isFull else { return nil }
        let file: JSONValue = [
            "data": .string(Data(dockerfile).base64EncodedString()), "filename": .string(dockerfileName), "language": "Dockerfile",
        ]
        return ["source": ["infos": [file]]]
    }
}
