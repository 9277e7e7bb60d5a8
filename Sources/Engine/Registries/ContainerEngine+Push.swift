import DockerAPI
import Images
import OCI
import Registry

extension ContainerEngine {
    /// `docker push`: one tag, or all tags of a repository here when none is given.
    public func pushImage(_ name: String, tag: String, platform: String, auth: RegistryAuth) async throws -> Transfer {
        let named = try Self.pullReference(name, tag: tag)
        guard named.digest == nil else { throw EngineError(.invalidArgument, "cannot push a digest reference") }
        let references = try await pushed(named)
        if let platform = try Self.platform(platform) {
            for reference in references {
                let image = try await images.image("\(reference)")
                guard image.config.architecture == platform.architecture else {
                    throw EngineError(
                        .notFound,
                        "image with reference \(reference.familiarString) was found but does not provide the specified platform (\(platform))")
                }
            }
        }
        let board = ProgressBoard()
        board.post(JSONMessage(status: "The push refers to repository [\(named.name)]"))
        return try await Transfer(board) { [self] in
            for reference in references { try await push(reference, auth.credentials, board) }
        }
    }

    private func pushed(_ named: Reference) async throws -> [Reference] {
        if named.tag != nil {
            do {
                _ = try await images.image("\(named)")
            } catch is ImageError {
                throw EngineError(.notFound, "tag does not exist: \(named.familiarString)")
            }
            return [named]
        }
        let references = try await images.references(in: named)
        guard !references.isEmpty else {
            throw EngineError(.notFound, "An image does not exist locally with the tag: \(named.familiarName)")
        }
        return references
    }

    private func push(_ reference: Reference, _ credentials: RegistryCredentials, _ board: ProgressBoard) async throws {
        let pushed = try await images.push(
            reference, to: context.registries, credentials, progress: { board.tell($1, of: $0) },
            found: { layers in
                for layer in layers { board.tell(.preparing, of: layer) }
            })
        board.post(JSONMessage(status: "\(pushed.tag): digest: \(pushed.digest) size: \(pushed.size)"))
        board.post(
            JSONMessage { aux in
                aux.Tag = pushed.tag
                aux.Digest = pushed.digest.description
                aux.Size = Int64(pushed.size)
            })
        events.publish("image", "push", id: reference.familiarString, attributes: ["name": reference.familiarName])
    }
}
