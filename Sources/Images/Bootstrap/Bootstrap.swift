import Blocking
import FoundationEssentials
import Linux
public import OCI
import SystemPackage

/// What a Debian-like base image is made of.
public struct BootstrapRequest: Sendable {
    /// The new image's name: `debian:bookworm`. Repository and tag say what to install.
    public var reference: Reference
    /// Instead of the tag.
    public var suite: String?
    public var variant: String
    /// Packages on top of the variant's.
    public var include: [String]
    /// Where the packages come from; nil: where this machine gets its own.
    public var mirror: String?
    /// Gives the image the certificate authorities that this machine trusts.
    public var hostCertificates: Bool

    public init(
        reference: Reference, suite: String? = nil, variant: String = "minbase", include: [String] = [],
        mirror: String? = nil, hostCertificates: Bool = false
    ) {
        self.reference = reference
        self.suite = suite
        self.variant = variant
        self.include = include
        self.mirror = mirror
        self.hostCertificates = hostCertificates
    }
}

extension ImageStore {
    /// Makes a base image from a distribution's packages with the host's debootstrap or mmdebstrap, for machines that have
    /// a package mirror but no registry. `progress` gets the tool's lines. A cancelled task ends the tool and leaves nothing.
    public func bootstrap(_ request: BootstrapRequest, progress: @escaping @Sendable (String) -> Void) async throws -> Image {
        let command = try await blocking { try BootstrapCommand(request) }
        let place = try await blocking { try self.layers.beginLayer() }
        let root = place.appending("root")
        do {
            progress("\(command.shown(root: ""))")
            try await run(command, root: root, progress)
            try await blocking { try finishRootfs(root, hostCertificates: request.hostCertificates) }
            progress("Storing the layer")
            let layer = try await layers.commit(directory: root)
            let image = try await layers.holding([layer]) {
                try await create(config: config(of: layer, command), references: [request.reference])
            }
            await discard(place)
            return image
        } catch {
            await discard(place)
            throw error
        }
    }

    private func discard(_ place: FilePath) async {
        let layers = layers
        // The body does not throw, and `blocking` passes on only what it throws.
        try? await blocking { layers.discard(place) }
    }

    private func config(of layer: Digest, _ command: BootstrapCommand) -> ImageConfig {
        let now = Self.now()
        return ImageConfig(
            created: now,
            config: .init(
                env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], cmd: ["bash"]),
            rootfs: .init(diffIDs: [layer]), history: [.init(created: now, createdBy: command.shown(root: ""))])
    }

    private func run(
        _ command: BootstrapCommand, root: FilePath, _ progress: @escaping @Sendable (String) -> Void
    ) async throws {
        let (pid, output) = try await blocking { try command.start(root: root) }
        async let lastLines = blocking { try readLines(output, progress) }
        let status = try await waitForExit(pid)
        let said = try await lastLines
        try Task.checkCancellation()
        guard status.isSuccess else {
            throw ImageError.invalid(
                "\(command.tool.lastComponent?.string ?? "") ended with code \(status.code): \(said.joined(separator: "\n"))")
        }
    }
}

/// Passes on the lines that a program prints, and answers the last few of them. May block.
private func readLines(_ output: SharedFD, _ progress: (String) -> Void) throws -> [String] {
    var last: [String] = []
    var line: [UInt8] = []
    func end() {
        let text = String(decoding: line, as: UTF8.self)
        line = []
        progress(text)
        last = last.suffix(9) + [text]
    }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 12, alignment: 16)
    defer { buffer.deallocate() }
    while case let count = try output.read(into: buffer), count > 0 {
        for byte in buffer[..<count] {
            if byte == UInt8(ascii: "\n") || line.count == 4096 { end() }
            if byte != UInt8(ascii: "\n"), byte != UInt8(ascii: "\r") { line.append(byte) }
        }
    }
    if !line.isEmpty { end() }
    return last
}
