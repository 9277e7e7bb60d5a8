import Images
import OCI
import Store
import Synchronization

/// Notes what a build takes from elsewhere, and holds it to a lock file if there is one.
public final class InputLock: Sendable {
    /// Nil lets the build take what it finds.
    private let obeyed: LockFile?
    private let noted = Mutex(LockFile())

    public init(obeying file: LockFile? = nil) {
        obeyed = file
    }

    /// What was taken so far.
    public var file: LockFile { noted.withLock { $0 } }

    // MARK: Images

    /// The image of a name, the very one of the lock file.
    /// - Parameter find: gets it by a name, from a registry if it has to be
    func image(_ name: String, in images: ImageStore, find: @Sendable (String) async throws -> Image) async throws -> Image {
        // An id says all.
        guard (try? Digest(name)) == nil, let reference = try? Reference(name).withDefaultTag() else { return try await find(name) }
        let image: Image
        if let obeyed {
            image = try await locked(reference, obeyed, images, find)
        } else {
            image = try await find(name)
        }
        let digests = image.references.filter { $0.name == reference.name }.compactMap(\.digest)
        let entry = LockFile.Image(digest: reference.digest ?? digests.min(), id: image.id)
        noted.withLock { $0.images["\(reference)", default: [:]][Self.platform] = entry }
        return image
    }

    private static var platform: String { "\(Platform.host)" }

    private func locked(_ reference: Reference, _ file: LockFile, _ images: ImageStore, _ find: (String) async throws -> Image)
        async throws -> Image
    {
        guard let entry = file.images["\(reference)"]?[Self.platform] else {
            throw BuildError.invalid("the lock file has no image \(reference.familiarString) for \(Self.platform)")
        }
        do {
            return try await images.image("\(entry.id)")
        } catch ImageError.notFound {
            // Whoever has it is asked below.
        }
        guard let digest = entry.digest else {
            throw BuildError.invalid(
                "the image \(entry.id.short) that the lock file says for \(reference.familiarString) is not here, and came from no registry")
        }
        let image = try await find("\(reference.with(digest))")
        guard image.id == entry.id else {
            throw BuildError.failed("\(reference.familiarString) is the image \(image.id) at \(digest), the lock file says \(entry.id)")
        }
        return image
    }

    // MARK: Files of the web

    /// The content that a file has to have; nil when any will do.
    func digest(ofFile address: String) throws(BuildError) -> Digest? {
        guard let obeyed else { return nil }
        guard let digest = obeyed.files[AddressText.key(address)] else {
            throw .invalid("the lock file has no file \(AddressText.shown(address))")
        }
        return digest
    }

    /// Notes a file that was found, and refuses another one than that of the lock file.
    func note(file address: String, _ digest: Digest) throws(BuildError) {
        if let wanted = try self.digest(ofFile: address), wanted != digest {
            throw .failed("\(AddressText.shown(address)) has the content \(digest), the lock file says \(wanted)")
        }
        noted.withLock { $0.files[AddressText.key(address)] = digest }
    }

    // MARK: Git

    /// The address with the commit of the lock file in place of its branch or tag.
    func pinned(_ git: GitAddress, _ address: String) throws(BuildError) -> GitAddress {
        guard let obeyed else { return git }
        guard let commit = obeyed.repositories[address] else { throw .invalid("the lock file has no repository \(address)") }
        var git = git
        git.ref = commit
        return git
    }

    func note(repository address: String, _ commit: String) {
        noted.withLock { $0.repositories[address] = commit }
    }
}
