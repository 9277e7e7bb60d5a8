public import Linux
public import SystemPackage

/// What a launch needs to know besides the configuration. Raw descriptors stay the caller's and may be closed when the
/// launch has returned.
public struct LaunchOptions: Sendable {
    /// The type of a mount that the caller has made already.
    public static let detachedMountType = "skiff-detached"

    /// What becomes of the process's descriptors 0, 1 and 2.
    public enum Stdio: Sendable {
        case descriptors(input: Int32, output: Int32, error: Int32)
        /// A new terminal from the container's devpts; its other end comes in `Launched.terminal` once it is ready.
        case terminal
    }

    public var id: String
    public var stdio: Stdio
    /// A detached mount of the root file system, in place of `root.path`.
    public var rootMount: Int32?
    /// Detached mounts for those of the configuration whose type is `detachedMountType` and whose source is the number in
    /// this list.
    public var mounts: [Int32] = []
    /// Where relative paths of the configuration begin.
    public var bundle: FilePath
    /// Exists already; the process is moved in before anything of the container runs.
    public var cgroup: Cgroup?
    /// The process is killed when the caller ends.
    public var diesWithParent: Bool
    /// A descriptor from which the ready process reads one byte before it goes on, in place of `Launched.release()`. For a
    /// caller that ends before: the process then does not care about the loss of the caller.
    public var gate: Int32?
    /// How many descriptors from 3 on the process inherits.
    public var preservedDescriptors: Int
    /// Whether the process gets a session keyring of its own, in place of the caller's.
    public var newKeyring: Bool
    /// The old root stays mounted below the container's, out of reach: `pivot_root` cannot leave an initial RAM disk.
    public var keepsOldRoot = false
    /// Of the configuration, as it was read. Without it the profile is compiled.
    var filter: KnownFilter?

    public init(
        id: String, stdio: Stdio, rootMount: Int32? = nil, bundle: FilePath = "/", cgroup: Cgroup? = nil,
        diesWithParent: Bool = true, gate: Int32? = nil, preservedDescriptors: Int = 0, newKeyring: Bool = true
    ) {
        self.id = id
        self.stdio = stdio
        self.rootMount = rootMount
        self.bundle = bundle
        self.cgroup = cgroup
        self.diesWithParent = diesWithParent
        self.gate = gate
        self.preservedDescriptors = preservedDescriptors
        self.newKeyring = newKeyring
    }
}

/// Why a process could not be started: what shells and Docker say as exit code, and a sentence in runc's words.
public struct LaunchError: Error, Sendable, Equatable, CustomStringConvertible {
    /// 127 not found, 126 not executable, 128 everything else.
    public let exitCode: Int32
    public let message: String

    public init(exitCode: Int32 = 128, message: String) {
        self.exitCode = exitCode
        self.message = message
    }

    public var description: String { message }
}
