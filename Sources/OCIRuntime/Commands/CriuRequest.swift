import Linux
import OCI
public import SystemPackage

/// What `checkpoint` and `restore` tell CRIU, the program that takes processes apart and puts them together again.
public struct CriuRequest: Sendable {
    public var images: String
    /// Where the log lies; by default with the images.
    public var work: String?
    /// Of an earlier checkpoint, relative to the images.
    public var parentPath: String?
    /// `address:port`
    public var pageServer: String?
    /// Gets a zero byte when CRIU is ready to serve pages.
    public var statusDescriptor: Int32?
    public var leavesRunning = false
    public var isPreDump = false
    /// How CRIU treats cgroups.
    public var cgroups: String?
    /// What is passed on as it is.
    public var flags: [String] = []

    public init(images: String, work: String?) {
        self.images = images
        self.work = work
    }

    /// With paths that do not depend on where the program stands.
    public func absolute(to directory: FilePath) -> CriuRequest {
        var request = self
        request.images = directory.pushing(FilePath(images)).string
        request.work = work.map { directory.pushing(FilePath($0)).string }
        return request
    }

    /// The directories, made where they are missing, and the log.
    func places(log: String) throws -> [String] {
        try makeDirectories(FilePath(images), mode: 0o700)
        if let work { try makeDirectories(FilePath(work), mode: 0o700) }
        return ["--images-dir", images, "--work-dir", work ?? images, "--log-file", log, "-v4"]
    }

    func logPath(_ log: String) -> String { "\(work ?? images)/\(log)" }

    static func program() throws -> FilePath {
        do {
            return try RuntimeRoot.find("criu")
        } catch {
            throw RuntimeError("criu is not installed: checkpoint and restore need the program criu in the PATH")
        }
    }

    /// Mounts of the container that are not CRIU's to take along: what comes from the host, with the place that it came from.
    static func externalMounts(_ spec: RuntimeSpec) -> [(destination: String, source: String)] {
        var mounts: [(destination: String, source: String)] = []
        for mount in spec.mounts {
            let isBind = mount.type == "bind" || mount.options.contains { ["bind", "rbind"].contains($0) }
            if isBind, let source = mount.source { mounts.append((mount.destination, source)) }
        }
        return mounts
    }

    /// A network namespace that was given and so stays: its path.
    static func externalNetwork(_ spec: RuntimeSpec) -> String? {
        spec.linux.namespaces.first { $0.type == .network }?.path
    }

    static func checkSupport(_ spec: RuntimeSpec) throws {
        if spec.process.terminal { throw RuntimeError("checkpoint and restore of a container with a terminal are not supported") }
    }
}
