import Archive
import Blocking
public import Linux
import Logging
public import OCI
import SystemPackage

/// An image that came with an archive, and the names it got by that.
public struct LoadedImage: Sendable, Equatable {
    public let image: Image
    public let references: [Reference]

    /// As `docker load` says it.
    public var message: String {
        references.isEmpty
            ? "Loaded image ID: \(image.id)"
            : references.map { "Loaded image: \($0.familiarString)" }.joined(separator: "\n")
    }
}

extension ImageStore {
    /// `docker load`: reads an archive as `docker save` makes it (`manifest.json`) or with an OCI layout (`index.json`),
    /// itself and its layers plain or compressed with gzip or zstd. Every digest is verified; nothing of an image that
    /// does not fit remains.
    ///
    /// With `platform` only images for that are taken; without, of an image for several platforms the host's.
    /// `progress` gets a line for each image.
    public func load(
        from input: SharedFD, platform: PlatformChoice? = nil, progress: @escaping @Sendable (String) -> Void = { _ in }
    ) async throws -> [LoadedImage] {
        try await blocking {
            let parts = ArchiveParts(self.layers)
            defer { parts.discard() }
            let plain = try decompressing(FileSource(input))
            try parts.read(TarReader(plain))
            let found = try parts.images(for: platform)
            if found.isEmpty {
                throw ImageError.invalid(platform.map { "the archive has no image for \($0)" } ?? "the archive has no image")
            }
            return try found.map { image in
                let loaded = try self.add(image, parts)
                progress(loaded.message)
                return loaded
            }
        }
    }

    private func add(_ found: ArchivedImage, _ parts: ArchiveParts) throws -> LoadedImage {
        for (path, diffID) in zip(found.layerPaths, found.config.rootfs.diffIDs) {
            try parts.publish(path, expected: diffID)
        }
        let image = try add(configBytes: found.configBytes, references: found.references, attachments: attachments(of: found, parts))
        return LoadedImage(image: image, references: found.references)
    }
}

extension ImageStore {
    /// Whatever is wrong with what is said of an image, the image itself is whole.
    private func attachments(of found: ArchivedImage, _ parts: ArchiveParts) -> ImageAttachments? {
        do {
            let (attachments, skipped) = try parts.attachments(of: found)
            _ = try attachments?.document()
            if skipped > 0 { logger.warning("attestations of an archive are too large, or too many", metadata: ["left out": "\(skipped)"]) }
            return attachments
        } catch {
            logger.warning("annotations and attestations of an archive cannot be read", metadata: ["error": "\(error)"])
            return nil
        }
    }
}

/// An image as an archive describes it.
struct ArchivedImage {
    var config: ImageConfig
    var configBytes: [UInt8]
    /// Entries of the archive, base first.
    var layerPaths: [String]
    var references: [Reference]
}
