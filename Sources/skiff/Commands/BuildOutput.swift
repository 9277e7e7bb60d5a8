import Archive
import Blocking
import DockerAPI
import EngineClient
import FoundationEssentials
import Linux
import NIOCore
import OCI
import SystemPackage

/// Takes the result of a build to where it is wanted.
struct BuildOutput {
    let call: Invocation
    let id: String
    let tags: [String]
    /// Whether the image is one that this build has made.
    let isNew: Bool
    let attachments: BuildAttachmentFlags

    /// Answers the digest that the registry has, where the image was pushed.
    func deliver(_ outputs: [OutputFlag]) async throws -> String? {
        var pushed: String?
        do {
            for output in outputs { pushed = try await deliver(output) ?? pushed }
        } catch {
            await discardUnwanted(outputs)
            throw error
        }
        await discardUnwanted(outputs)
        return pushed
    }

    private func deliver(_ output: OutputFlag) async throws -> String? {
        switch output.kind {
        case .local: try await Self.unpack(files(output), to: output.destination, call)
        case .tar: try await download(files(output), to: output.destination)
        case .oci: try await archive(output)
        case .docker: if !output.destination.isEmpty || output.isStream { try await archive(output) }
        case .image, .registry:
            guard output.pushes else { return nil }
            var pushed: String?
            for tag in tags { pushed = try await push(tag) ?? pushed }
            return pushed
        }
        return nil
    }

    /// Without a name nobody asked for the image itself. One that was there before the build is somebody's.
    private func discardUnwanted(_ outputs: [OutputFlag]) async {
        let isOnlyFiles = !outputs.isEmpty && outputs.allSatisfy { [.local, .tar, .oci].contains($0.kind) }
        guard isOnlyFiles, isNew, tags.isEmpty, !call[BuildFlags.load] else { return }
        await Self.discard(id, call.program)
    }

    /// Removes what nobody asked for.
    static func discard(_ id: String, _ program: Program) async {
        let request = EngineRequest(.delete, "/images/\(EngineRequest.escaped(id))", query: [("unnamed", "1")])
        // An image that has got a name meanwhile, or is used, stays.
        _ = try? await program.engine.send(request)
    }

    private func files(_ output: OutputFlag) -> EngineRequest {
        let query = attachments.hasAttestations ? [("attestations", "1"), ("attestationprefix", output.attestationPrefix)] : []
        return EngineRequest(.get, "/images/\(EngineRequest.escaped(id))/rootfs", query: query)
    }

    // MARK: Archives

    /// An archive as of `save`: it is an OCI layout and what Docker reads at once.
    private func archive(_ output: OutputFlag) async throws {
        let names = tags.isEmpty ? [id] : tags
        var query = names.map { ("names", $0) }
        // What an earlier build has said of the same image is none of this one's.
        if attachments.hasAttestations || attachments.query.isEmpty { query.append(("attestations", attachments.hasAttestations ? "1" : "0")) }
        let request = EngineRequest(.get, "/images/get", query: query)
        if output.isArchive { return try await download(request, to: output.destination) }
        try await Self.unpack(request, to: output.destination, call)
    }

    private func download(_ request: EngineRequest, to path: String) async throws {
        if path.isEmpty {
            guard !StandardStream.output.isTerminal else {
                throw CommandFailure("dest file is required for this output: refusing to write to a terminal")
            }
            return try await call.program.engine.open(request) { response in
                while let bytes = try await response.next() { try await ContainerStreams.write(bytes, .output) }
            }
        }
        let place = FilePath(Paths.absolute(path, in: call.program.workingDirectory))
        try await call.program.engine.open(request) { try await Download(path: place).run($0) }
    }

    /// The files belong to whoever calls; devices are left out.
    static func unpack(_ request: EngineRequest, to path: String, _ call: Invocation) async throws {
        let place = FilePath(Paths.absolute(path, in: call.program.workingDirectory))
        try await call.program.engine.open(request) { response in
            let pipe = try PipeEnds()
            async let unpacked: Void = extract(pipe, place)
            try await copy(response, to: pipe)
            try await unpacked
        }
    }

    private static func extract(_ pipe: PipeEnds, _ place: FilePath) async throws {
        let reading = try pipe.takeReading()
        let owner = (uid: CurrentProcess.effectiveUserID, gid: CurrentProcess.effectiveGroupID)
        try await blocking {
            try makeDirectories(place, mode: 0o755)
            var options = ExtractionOptions(whiteouts: .asFiles, makesDevices: false)
            options.ownership = .fixed(uid: owner.uid, gid: owner.gid)
            let directory = try OwnedFD.open(place, [.path, .directory])
            try Extraction(into: directory, options: options).run(TarReader(FileSource(reading)))
        }
    }

    private static func copy(_ response: EngineResponse, to pipe: PipeEnds) async throws {
        let writing = try pipe.takeWriting()
        while let bytes = try await response.next() {
            let bytes = Array(bytes.readableBytesView)
            let isOpen = try await blocking {
                do {
                    try bytes.withUnsafeBytes { try writing.writeAll($0) }
                    return true
                } catch let error as SystemError {
                    // Whoever reads has failed and says why.
                    if error.errno == .brokenPipe { return false }
                    throw error
                }
            }
            if !isOpen { return }
        }
    }

    // MARK: Registries

    private func push(_ tag: String) async throws -> String? {
        let reference = try Reference(tag).withDefaultTag()
        var request = EngineRequest(
            .post, "/images/\(EngineRequest.escaped(reference.name))/push", query: [("tag", reference.tag ?? "")])
        request.headers = try await Logins(call.program.environment).header(for: reference)
        let display = ProgressDisplay(stream: .output, isQuiet: call[BuildFlags.quiet])
        return try await call.program.engine.open(request) { try await display.show($0) }.compactMap(\.Digest).last
    }
}
