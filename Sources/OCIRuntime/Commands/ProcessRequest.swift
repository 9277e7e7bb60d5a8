import Linux
import SystemPackage

/// What create, run and exec have in common: where a process's terminal, pid and descriptors go.
public struct ProcessRequest: Sendable {
    public var consoleSocket: String?
    public var pidFile: String?
    /// Gets a descriptor that names the process, as the console socket gets the terminal.
    public var pidfdSocket: String?
    /// How many descriptors the process inherits, after those that systemd has opened for it.
    public var preservedDescriptors = 0
    /// How many sockets systemd has opened for the process, from descriptor 3 on (sd_listen_fds(3)).
    public var listenDescriptors = 0
    public var detach = false
    /// Whether the process gets a session keyring of its own.
    public var newKeyring = true
    /// Whether the root is changed without `pivot_root`, for hosts that run from an initial RAM disk.
    public var keepsOldRoot = false
    /// A configuration in place of the bundle's.
    public var configuration: String?
    /// Of an exec: groups below the container's, `[CONTROLLER,…:]PATH`.
    public var subgroups: [String] = []
    /// Of an exec: also into a container that is paused; the process runs when that is resumed.
    public var ignoresPause = false

    public init() {}

    var inheritedDescriptors: Int { listenDescriptors + preservedDescriptors }

    /// A terminal of a process that nobody stays with has to go somewhere, and nowhere without one. What is to be
    /// inherited has to exist.
    func check(terminal: Bool, staysAlone: Bool) throws {
        if terminal, staysAlone, consoleSocket == nil {
            throw RuntimeError("cannot allocate tty if runc will detach without setting console socket")
        }
        if consoleSocket != nil, !terminal || !staysAlone {
            throw RuntimeError("cannot use console socket if runc will not detach or allocate tty")
        }
        for number in 0..<inheritedDescriptors where try lstatIfExists(FilePath("/proc/self/fd/\(3 + number)")) == nil {
            throw RuntimeError("please check that preserved-fd \(number - listenDescriptors) (of \(preservedDescriptors)) is present")
        }
    }

    /// Gives away what belongs to whoever called. `kind` is what the receiver of the pidfd is told.
    func deliver(_ launched: inout Launched, as kind: String) throws {
        if let consoleSocket, let terminal = launched.takeTerminal() {
            let connection = try connectUnix(FilePath(consoleSocket))
            try sendDescriptor(terminal.raw, Array("/dev/ptmx".utf8), over: connection.raw)
        }
        if let pidfdSocket {
            let connection = try connectUnix(FilePath(pidfdSocket))
            try sendDescriptor(launched.pidfd.raw, Array(kind.utf8), over: connection.raw)
        }
        if let pidFile {
            try writeAtomically(Array("\(launched.pid)".utf8), to: FilePath(pidFile), mode: 0o644, sync: false)
        }
    }
}
