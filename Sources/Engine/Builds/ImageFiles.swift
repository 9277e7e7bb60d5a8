import Archive
import Blocking
import Builder
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
            files.attestations = try await attestations(of: name).filter { !$0.isForImages }
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
                let stop = StopSign()
                try await withTaskCancellationHandler {
                    try await ByteBridge.archive(root, adding: { try files.write($0, root, stop) }, to: send)
                } onCancel: {
                    stop.set()
                }
            }
        }
    }

    /// What is stated of an image, for somebody who has built it with statements and may have lost them: they belong to a name.
    func attestations(of name: String) async throws -> [ImageAttachments.Attestation] {
        let found = try await images.attachments(name)?.attestations ?? []
        if found.isEmpty { throw EngineError(.conflict, "the image \(name) has no attestations, or another build has taken them away") }
        return found
    }
}

/// What is said of an image whose files go without the image: each of them is what it is said of.
private struct FileAttestations: Sendable {
    var attestations: [ImageAttachments.Attestation] = []
    var prefix = ""

    /// What the names of files may have in a statement, with their digests.
    private static let mostBytes = 32 << 20

    /// Throws when the image has files of those names, or too many of all, or what is to be in front of them is no part of a name.
    func check(_ root: borrowing OwnedFD) throws {
        guard !prefix.contains("/"), !prefix.utf8.contains(0) else {
            throw EngineError(.invalidArgument, "invalid prefix of attestations: it is a part of a file's name")
        }
        for name in ImageAttachments.Attestation.fileNames(attestations) {
            let name = try FileName(prefix + name)
            guard try fstatatIfExists(root, name) == nil else {
                throw EngineError(.conflict, "the result has a file \(name) already: choose an attestation-prefix")
            }
        }
        var bytes = 0
        try FileWalk.run(root) { _, item in
            guard item.metadata.kind == .regular else { return }
            bytes += item.path.utf8.count + 100
            guard bytes <= Self.mostBytes else {
                throw EngineError(.invalidArgument, "the result has too many files to state something of each of them")
            }
        }
    }

    func write(_ writer: TarWriter, _ root: SharedFD, _ stop: StopSign) throws {
        if attestations.isEmpty { return }
        var files: [(name: String, digest: Digest)] = []
        try root.withOwned { root in
            try FileWalk.run(root) { directory, item in
                try stop.check()
                guard item.metadata.kind == .regular else { return }
                let file = try openat(directory, item.name, [.readOnly, .noFollow])
                files.append((item.path, try Digest.sha256(of: file) { try stop.check() }))
            }
        }
        let subject = AttestationSubject(files: files)
        for (attestation, name) in zip(attestations, ImageAttachments.Attestation.fileNames(attestations)) {
            let entry = TarEntry(path: Array((prefix + name).utf8), kind: .file)
            try writer.write(entry, content: subject.statement(attestation))
        }
    }
}
