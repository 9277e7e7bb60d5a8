import AsyncHTTPClient
import NIOCore
import NIOHTTP1
public import OCI

/// A manifest or an index exactly as a registry has it.
public struct FetchedManifest: Sendable, Equatable {
    /// What its digest is made of.
    public let bytes: [UInt8]
    public let mediaType: String
    public let digest: Digest
    /// What stands in it.
    public let document: ManifestDocument

    public var descriptor: Descriptor { Descriptor(mediaType: mediaType, digest: digest, size: Int64(bytes.count)) }
}

extension RepositoryClient {
    /// The largest manifest that is taken, as the specification asks registries to take.
    public static let manifestLimit = 4 << 20

    /// In the order of `docker pull`.
    private static let accepted = [
        MediaType.dockerManifest, MediaType.manifest, MediaType.dockerManifestList, MediaType.index,
    ]

    /// Fetches a manifest and checks it: its digest, its size, that it is what it says it is, and nothing else besides.
    public func manifest(_ name: ManifestName, expected: Descriptor? = nil) async throws -> FetchedManifest {
        if let expected, expected.size > Self.manifestLimit {
            throw RegistryError(.invalidReply, "manifest \(expected.digest) is larger than \(Self.manifestLimit) bytes")
        }
        let answer = try await exchange.send(call(.GET, name), expecting: [200])
        let bytes = try await Body.collect(answer.response, limit: Self.manifestLimit, .GET, answer.address)
        let digest = try Self.digest(of: bytes, name, stated: answer.header("Docker-Content-Digest"))
        if let expected, expected.size != Int64(bytes.count) {
            throw RegistryError(.invalidReply, "manifest \(digest) has \(bytes.count) bytes, not \(expected.size)")
        }
        let stated = answer.header("Content-Type")
        let document = try ManifestDocument(bytes, contentType: stated, repository: path)
        let mediaType = document.mediaType(stated: stated)
        if let expected, expected.mediaType != mediaType {
            throw RegistryError(.invalidReply, "manifest \(digest) is \(mediaType), not \(expected.mediaType)")
        }
        return FetchedManifest(bytes: bytes, mediaType: mediaType, digest: digest, document: document)
    }

    /// The descriptor of a manifest without its content; nil when there is none, or the registry does not tell enough.
    public func manifestDescriptor(_ name: ManifestName) async throws -> Descriptor? {
        let answer: Answer
        do {
            answer = try await exchange.send(call(.HEAD, name), expecting: [200])
        } catch let error as RegistryError where error.kind == .notFound {
            return nil
        }
        await Body.discard(answer.response)
        // Without them the content has to be fetched.
        guard let digest = answer.header("Docker-Content-Digest").flatMap({ try? Digest($0) }),
            let type = answer.header("Content-Type"), let size = answer.header("Content-Length").flatMap({ Int64($0) })
        else { return nil }
        return Descriptor(mediaType: ManifestDocument.plainType(type), digest: digest, size: size)
    }

    /// Stores a manifest under a tag or its digest. Everything that it names must be there.
    public func putManifest(_ bytes: [UInt8], mediaType: String, as name: ManifestName) async throws {
        var call = call(.PUT, name)
        call.headers = ["Content-Type": mediaType]
        call.body = { .bytes(ByteBuffer(bytes: bytes)) }
        let answer = try await exchange.send(call, expecting: [200, 201, 202])
        await Body.discard(answer.response)
        if let stated = answer.header("Docker-Content-Digest"), let digest = try? Digest(stated),  // A broken header says nothing.
            digest.algorithm == .sha256, digest != ContentDigest.sha256(bytes)
        {
            throw RegistryError(.invalidReply, "the registry has stored the manifest as \(digest)")
        }
    }

    private func call(_ method: HTTPMethod, _ name: ManifestName) -> Call {
        var call = Call(method: method, address: address("manifests/\(name)"))
        for type in Self.accepted { call.headers.add(name: "Accept", value: type) }
        return call
    }

    private static func digest(of bytes: [UInt8], _ name: ManifestName, stated: String?) throws -> Digest {
        if case .digest(let wanted) = name {
            guard ContentDigest.of(bytes, wanted.algorithm) == wanted else {
                throw RegistryError(.invalidReply, "manifest verification failed for digest \(wanted)")
            }
            return wanted
        }
        let found = ContentDigest.sha256(bytes)
        if let stated, let digest = try? Digest(stated),  // A header that is no digest is not compared.
            ContentDigest.of(bytes, digest.algorithm) != digest
        {
            throw RegistryError(.invalidReply, "manifest verification failed for digest \(digest)")
        }
        return found
    }
}
