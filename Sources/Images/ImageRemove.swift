import Blocking
import Linux
public import OCI

extension ImageStore {
    /// `docker rmi`: takes the name away that was given, or all of them when an id was given; an image without names goes,
    /// and with it the layers that nothing else needs.
    ///
    /// `usedBy` tells the containers of an image. An image that one of them uses loses its names only if forced, and is
    /// kept without them. Images here do not know parents, so `noPrune` changes nothing.
    /// With `onlyUnnamed` an image that has a name is left as it is.
    public func remove(
        _ nameOrID: String, force: Bool, noPrune: Bool, onlyUnnamed: Bool = false, usedBy: @Sendable (Digest) async -> [String]
    ) async throws -> RemovedImages {
        let found = try await find(nameOrID: nameOrID)
        let image = found.image
        if onlyUnnamed, !image.references.isEmpty { return RemovedImages() }
        let container = await usedBy(image.id).first
        if let reference = found.reference {
            try checkUntag(reference, image, force: force, container: container)
            return try await untag([reference] + image.digestsLeft(without: reference), of: image, container: container)
        }
        try checkDelete(image, force: force, container: container)
        return try await untag(image.references, of: image, container: container)
    }

    /// Removes images without a name that no container uses; with `all` also those with names. Of these only those that
    /// `isWanted` names.
    public func prune(
        all: Bool, where isWanted: @Sendable (Image) -> Bool = { _ in true }, usedBy: @Sendable (Digest) async -> [String]
    ) async throws -> RemovedImages {
        // Whoever asks for room does not want to go on with a pull that broke off.
        try await discardUnfinishedPulls()
        var removed = RemovedImages()
        for image in try await list() where (all || !image.references.contains(where: { $0.digest == nil })) && isWanted(image) {
            guard await usedBy(image.id).isEmpty else { continue }
            let gone = try await untag(image.references, of: image, container: nil)
            removed.items += gone.items
            removed.bytes += gone.bytes
        }
        return removed
    }

    private func find(nameOrID: String) async throws -> Found {
        try await blocking { try self.find(nameOrID) }
    }

    private func untag(_ references: [Reference], of image: Image, container: String?) async throws -> RemovedImages {
        try await blocking {
            var removed = RemovedImages(items: references.map { .untagged($0.familiarString) })
            try self.untag(references)
            // Looked at anew: somebody may have given it another name meanwhile.
            guard container == nil, try self.find("\(image.id)").image.references.isEmpty else { return removed }
            let freed = try self.delete(image)
            removed.items.append(.deleted("\(image.id)"))
            removed.items += freed.layers.map { .deleted("\($0)") }
            removed.bytes = freed.bytes
            return removed
        }
    }

    private func checkUntag(_ reference: Reference, _ image: Image, force: Bool, container: String?) throws {
        guard !force, image.hasSingleName, let container else { return }
        throw ImageError.conflict(
            "conflict: unable to remove repository reference \"\(reference.familiarString)\" (must force) - "
                + "container \(container.prefix(12)) is using its referenced image \(image.id.short)")
    }

    private func checkDelete(_ image: Image, force: Bool, container: String?) throws {
        if !image.hasSingleName, !force {
            throw ImageError.conflict(
                "conflict: unable to delete \(image.id.short) (must be forced) - image is referenced in multiple repositories")
        }
        guard let container else { return }
        if !force {
            throw ImageError.conflict(
                "conflict: unable to delete \(image.id.short) (must be forced) - "
                    + "image is being used by stopped container \(container.prefix(12))")
        }
        if image.references.isEmpty {
            throw ImageError.conflict(
                "conflict: unable to delete \(image.id.short) (cannot be forced) - "
                    + "image is being used by container \(container.prefix(12))")
        }
    }
}

extension Image {
    /// No more than one tag, and digests of the same repository.
    fileprivate var hasSingleName: Bool {
        references.count { $0.digest == nil } <= 1 && Set(references.map(\.name)).count <= 1
    }

    /// The digests that go with the last tag of a repository.
    fileprivate func digestsLeft(without removed: Reference) -> [Reference] {
        guard removed.digest == nil else { return [] }
        let others = references.filter { $0.name == removed.name && $0 != removed }
        return others.contains { $0.digest == nil } ? [] : others
    }
}
