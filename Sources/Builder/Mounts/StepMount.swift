public import Linux
public import SystemPackage

/// Something that a command sees besides its root, as long as it runs. Later ones lie above earlier ones.
public struct StepMount: Sendable {
    public enum Content: Sendable {
        /// A detached mount, to be attached as it is.
        case mount(SharedFD)
        /// Memory; 0 bytes is the kernel's own limit.
        case tmpfs(sizeBytes: Int64, isReadOnly: Bool)
        /// A socket that leads to the client's SSH agent, with a mode and an owner of its own.
        case agent(FilePath, mode: UInt32, uid: UInt32, gid: UInt32)
    }

    /// An absolute path in the container; links are followed inside its root.
    public var target: String
    public var content: Content

    public init(target: String, content: Content) {
        self.target = target
        self.content = content
    }
}
