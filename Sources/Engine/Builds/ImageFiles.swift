import Archive
import Blocking
import Images
import Linux
import OCI
import Store

extension ContainerEngine {
    /// The files of an image as one archive, all layers together: what a build writes to a folder of the client.
    /// - Parameter attestationPrefix: statements about the image are added as files with this in front of their names; nil: they are
    ///   left out
    public func imageFiles(_ name: String, attestationPrefix: String? = nil) async throws -> @Sendable (ByteSender) async throws -> Void {
        let image = try await images.image(name)
        let store = images.layers
        var files = FileAttestations()
        if let prefix = attestationPrefix {
            files.attestations = (try await images.attachments(name)?.attestations ?? []).filter { !$0.isForImages }
            files.prefix = prefix
        }
        if !files.attestations.isEmpty {
            // Before anything is sent, so that the error is told as one.
            try await store.holding(image.layers) { [files] in
                try await blocking { try files.check(try store.mount(layers: image.layers, upper: nil, work: nil)) }
            }
        }
        return { [files] send in
            try await store.holding(image.layers) {
                let root = try await blocking { SharedFD(try store.mount(layers: image.layers, upper: nil, work: nil)) }
                try await ByteBridge.archive(root, adding: { try files.write($0, root) }, to: send)
            }
        }
    }
}

/// What is said of an image whose files go without the image: each of them is what it is said of.
private struct FileAttestations: Sendable {
    var attestations: [ImageAttachments.Attestation] = []
    var prefix = ""

    /// Throws when the image has files of those names, or what is to be in front of them is no part of a name.
    func check(_ root: borrowing OwnedFD) throws {
        guard !prefix.contains("/"), !prefix.utf8.contains(0) else {
            throw EngineError(.invalidArgument, "invalid prefix of attestations: it is a part of a file's name")
        }
        for attestation in attestations {
            let name = try FileName(prefix + attestation.fileName)
            guard try fstatatIfExists(root, name) == nil else {
                throw EngineError(.conflict, "the result has a file \(name) already: choose an attestation-prefix")
            }
        }
    }

    func write(_ writer: TarWriter, _ root: SharedFD) throws {
        if attestations.isEmpty { return }
        var files: [(name: String, digest: Digest)] = []
        try root.withOwned { root in
            try FileWalk.run(root) { directory, item in
                guard item.metadata.kind == .regular else { return }
                files.append((item.path, try Self.digest(of: try openat(directory, item.name, [.readOnly, .noFollow]))))
            }
        }
        let subject = AttestationSubject(files: files)
        for attestation in attestations {
            let entry = TarEntry(path: Array((prefix + attestation.fileName).utf8), kind: .file)
            try writer.write(entry, content: subject.statement(attestation))
        }
    }

    private static func digest(of file: consuming OwnedFD) throws -> Digest {
        var hasher = DigestHasher()
        var offset: Int64 = 0
        while true {
            let bytes = try file.read(at: offset, count: 1 << 18)
            if bytes.isEmpty { return hasher.finish() }
            bytes.withUnsafeBytes { hasher.update($0) }
            offset += Int64(bytes.count)
        }
    }
}
