import Blocking
import Images
import Linux
import OCI
import SystemPackage

/// Mounts that the engine makes itself and hands to the supervisor as descriptors, since no path of the host leads to
/// them: a part of a volume, the files of an image.
struct MadeMounts: Sendable {
    struct Made: Sendable {
        let destination: String
        /// Detached; gone with its last holder.
        let mount: SharedFD
        /// Whose its top is.
        let owner: OwnerMapping.Pair
    }

    /// What the configuration of a container has to know of one.
    struct Place: Sendable {
        let number: Int
        let owner: OwnerMapping.Pair
    }

    var all: [Made] = []

    /// Their places in this list, by destination.
    var places: [String: Place] {
        Dictionary(zip(all, 0...).map { ($0.destination, Place(number: $1, owner: $0.owner)) }) { first, _ in first }
    }

    /// All that the mounts of a container need. Volumes are in use already.
    static func make(_ mounts: [ResolvedMount], images: ImageStore) async throws -> MadeMounts {
        var made = MadeMounts()
        for mount in mounts {
            guard let descriptor = try await make(mount, images) else { continue }
            // A remote file system may take its time.
            let top = try await blocking { try descriptor.withOwned { top throws(SystemError) in try fstat(top) } }
            made.all.append(Made(destination: mount.destination, mount: descriptor, owner: .init(of: top)))
        }
        return made
    }

    /// nil where a path will do.
    private static func make(_ mount: ResolvedMount, _ images: ImageStore) async throws -> SharedFD? {
        switch mount.kind {
        case .tmpfs, .bind, .engineSocket: return nil
        case .volume:
            guard let subpath = mount.subpath else { return nil }
            return try await blocking {
                let root = try OwnedFD.open(FilePath(mount.source), [.path, .directory])
                let place = try open(subpath, root, of: mount.source)
                return SharedFD(try Mount.clone(of: place, recursive: true))
            }
        case .image:
            let layers = try (mount.layers ?? []).map { try Digest($0) }
            let whole = try await blocking { SharedFD(try images.layers.mount(layers: layers, upper: nil, work: nil)) }
            guard let subpath = mount.subpath else { return whole }
            // A part can be taken of a mount that stands somewhere: in a namespace that nobody else sees.
            return try await onThrowawayThread {
                let namespace = try MountNamespace()
                do throws(SystemError) {
                    return SharedFD(try whole.withOwned { whole throws(SystemError) in try namespace.clone(of: subpath, in: whole) })
                } catch {
                    throw missing(error, subpath, of: mount.source)
                }
            }
        }
    }

    private static func open(_ subpath: String, _ root: borrowing OwnedFD, of source: String) throws -> OwnedFD {
        do {
            return try PathInRoot.open(subpath, root: root, flags: .path)
        } catch {
            throw missing(error, subpath, of: source)
        }
    }

    private static func missing(_ error: SystemError, _ subpath: String, of source: String) -> any Error {
        guard error.meansMissing else { return error }
        return EngineError(.invalidArgument, "cannot access path \(source)/\(subpath): no such file or directory")
    }
}
