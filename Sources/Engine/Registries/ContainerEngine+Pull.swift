import Blocking
import DockerAPI
import Images
import OCI
import Registry

extension ContainerEngine {
    /// `docker pull`: one image, or with neither tag nor digest all tags of a repository. Returns once the registry has
    /// given the manifest; the rest is told by the transfer.
    public func pullImage(_ name: String, tag: String, platform: String, auth: RegistryAuth) async throws -> Transfer {
        let reference = try Self.pullReference(name, tag: tag)
        let platform = try Self.platform(platform)
        let board = ProgressBoard()
        return try await Transfer(board) { [self] in
            for reference in try await wanted(reference, auth.credentials) {
                try await pull(reference, auth.credentials, platform, board)
            }
        }
    }

    /// Pulls one image and tells of it.
    @discardableResult
    func pull(_ reference: Reference, _ credentials: RegistryCredentials, _ platform: Platform?, _ board: ProgressBoard) async throws -> Image {
        let pulled: PulledImage
        do {
            pulled = try await images.pull(
                reference, from: context.registries, credentials, platform: platform,
                progress: { board.tell($1, of: $0) },
                found: { _ in
                    board.post(
                        JSONMessage(
                            status: "Pulling from \(reference.path)", id: reference.digest?.description ?? reference.tag ?? ""))
                })
        } catch let error as RegistryError {
            throw Self.pullError(error, reference)
        }
        let name = reference.familiarString
        board.post(JSONMessage(status: "Digest: \(pulled.digest)"))
        board.post(JSONMessage(status: "Status: \(pulled.isNew ? "Downloaded newer image" : "Image is up to date") for \(name)"))
        events.publish("image", "pull", id: name, attributes: ["name": reference.familiarName])
        return pulled.image
    }

    private func wanted(_ reference: Reference, _ credentials: RegistryCredentials) async throws -> [Reference] {
        guard reference.tag == nil, reference.digest == nil else { return [reference] }
        do {
            let source = try await blocking { [context] in try context.registries.registry(of: reference, credentials) }
            let repository = try await source.connect(for: .pull)
            return try await repository.tags().map { try Reference("\(reference.name):\($0)") }
        } catch let error as RegistryError {
            throw Self.pullError(error, reference)
        }
    }

    static func pullReference(_ name: String, tag: String) throws(EngineError) -> Reference {
        do {
            // A tag that is a digest goes behind another sign; and one in the name gives way.
            if tag.contains(":") { return try Reference("\(name)@\(tag)") }
            return try Reference(tag.isEmpty ? name : "\(name):\(tag)")
        } catch {
            throw EngineError(.invalidArgument, "\(error)")
        }
    }

    /// `linux/arm64/v8`, `linux`, `arm64`; nil when empty.
    static func platform(_ text: String) throws(EngineError) -> Platform? {
        guard !text.isEmpty else { return nil }
        let parts = text.lowercased().split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let names = ["x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm"]
        guard (1...3).contains(parts.count), parts.allSatisfy({ part in !part.isEmpty && part.utf8.allSatisfy { Self.isPlatformByte($0) } }) else {
            throw EngineError(.invalidArgument, "\"\(text.prefix(80))\" is an invalid OS component or platform specifier")
        }
        if parts.count == 1 {
            return parts[0] == "linux"
                ? Platform.host : Platform(architecture: names[parts[0]] ?? parts[0], os: "linux")
        }
        return Platform(architecture: names[parts[1]] ?? parts[1], os: parts[0], variant: parts.count == 3 ? parts[2] : nil)
    }

    private static func isPlatformByte(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
    }

    /// Docker's words for what a registry has refused.
    static func pullError(_ error: RegistryError, _ reference: Reference) -> EngineError {
        switch (error.kind, error.code) {
        case (.denied, _), (_, "DENIED"):
            let text = error.message.hasPrefix("denied") ? error.message : "denied: \(error.message)"
            return EngineError(
                .notFound, "pull access denied for \(reference.familiarName), repository does not exist or may require 'docker login': \(text)")
        case (_, "MANIFEST_UNKNOWN"):
            return EngineError(.notFound, "manifest for \(reference.familiarString) not found: \(error.message)")
        case (_, "NAME_UNKNOWN"):
            return EngineError(.notFound, "repository \(reference.familiarName) not found: \(error.message)")
        case (.notFound, nil):
            return EngineError(.notFound, "manifest for \(reference.familiarString) not found: \(error.message)")
        default: return .wrapping(error)
        }
    }
}
