import CLinux
import Glibc
import SystemPackage

/// Rows and columns of a terminal.
public struct WindowSize: Sendable, Equatable {
    public var rows: UInt16
    public var columns: UInt16

    public init(rows: UInt16, columns: UInt16) {
        self.rows = rows
        self.columns = columns
    }

    /// The size of the terminal behind a descriptor; `.inappropriateIOCTLForDevice` when it is none.
    public static func get(_ terminal: Int32) throws(SystemError) -> WindowSize {
        var size = winsize()
        try check("ioctl TIOCGWINSZ") { ioctl(terminal, UInt(TIOCGWINSZ), &size) }
        return WindowSize(rows: size.ws_row, columns: size.ws_col)
    }

    /// Sets the size; the processes in the terminal's foreground get SIGWINCH when it changes.
    public func set(_ terminal: Int32) throws(SystemError) {
        var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
        try check("ioctl TIOCSWINSZ") { ioctl(terminal, UInt(TIOCSWINSZ), &size) }
    }
}

/// How a terminal treats what is typed, to be put back later.
public struct TerminalMode: Sendable {
    private let settings: termios

    /// Whether a descriptor is a terminal.
    public static func isTerminal(_ descriptor: Int32) -> Bool {
        isatty(descriptor) == 1
    }

    /// The present mode.
    public static func get(_ terminal: Int32) throws(SystemError) -> TerminalMode {
        var settings = termios()
        try check("tcgetattr") { tcgetattr(terminal, &settings) }
        return TerminalMode(settings: settings)
    }

    /// Sets this mode after what was written has been sent.
    public func set(_ terminal: Int32) throws(SystemError) {
        var settings = settings
        try check("tcsetattr") { tcsetattr(terminal, TCSADRAIN, &settings) }
    }

    /// Passes every key on at once and as it is: nothing is echoed, edited or made a signal of here. Output is still
    /// translated if `keepOutputProcessing` says so.
    public func raw(keepOutputProcessing: Bool = false) -> TerminalMode {
        var settings = settings
        let output = settings.c_oflag
        cfmakeraw(&settings)
        if keepOutputProcessing { settings.c_oflag = output }
        return TerminalMode(settings: settings)
    }

    /// What is typed is not shown; a line is still a line.
    public func withoutEcho() -> TerminalMode {
        var settings = settings
        settings.c_lflag &= ~tcflag_t(ECHO)
        return TerminalMode(settings: settings)
    }

    private init(settings: termios) {
        self.settings = settings
    }
}

/// A new pseudo terminal: what is written to one end comes out of the other.
public struct PseudoTerminal: ~Copyable {
    /// The side of whoever shows the terminal.
    public let controller: OwnedFD
    /// The number of the other end below its devpts mount: `/dev/pts/<number>`.
    public let number: UInt32

    /// Takes a terminal from a devpts mount, given by a descriptor of its root directory. The mount's own `ptmx` is
    /// opened, so no name in a container's `/dev` is trusted.
    public init(devpts: borrowing OwnedFD) throws(SystemError) {
        let controller = try OwnedFD.open("ptmx", in: devpts, [.readWrite, .noControllingTerminal, .noFollow])
        try self.init(controller: controller)
    }

    /// Takes a terminal from the devpts mount of the calling process.
    public init() throws(SystemError) {
        let controller = try OwnedFD.open("/dev/ptmx", [.readWrite, .noControllingTerminal])
        try self.init(controller: controller)
    }

    private init(controller: consuming OwnedFD) throws(SystemError) {
        let raw = controller.raw
        var unlocked: Int32 = 0
        try check("ioctl TIOCSPTLCK") { ioctl(raw, Request.lock, &unlocked) }
        var number: UInt32 = 0
        try check("ioctl TIOCGPTN") { ioctl(raw, Request.number, &number) }
        self.controller = controller
        self.number = number
    }

    /// Opens the other end without a look at any path (TIOCGPTPEER), not as controlling terminal.
    public func openPeer() throws(SystemError) -> OwnedFD {
        let raw = controller.raw
        return OwnedFD(
            adopting: try check("ioctl TIOCGPTPEER") {
                ioctl(raw, Request.openPeer, O_RDWR | O_NOCTTY | O_CLOEXEC)
            })
    }

    /// Gives the controller's descriptor away.
    public consuming func takeController() -> OwnedFD {
        controller
    }
}

/// Numbers of ioctl(2) that Swift does not see, since they are made by macros. The same on x86-64 and arm64.
private enum Request {
    static let lock: UInt = 0x4004_5431  // TIOCSPTLCK
    static let number: UInt = 0x8004_5430  // TIOCGPTN
    static let openPeer: UInt = 0x5441  // TIOCGPTPEER
}

/// Makes a terminal the controlling one of the calling process, which must lead a session that has none.
public func setControllingTerminal(_ terminal: borrowing OwnedFD) throws(SystemError) {
    let raw = terminal.raw
    try check("ioctl TIOCSCTTY") { ioctl(raw, UInt(TIOCSCTTY), 0) }
}
