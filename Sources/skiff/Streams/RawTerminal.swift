import Linux

/// The terminal of the user while a container has it: every key goes on as it is. Put back with `restore`.
struct RawTerminal: Sendable {
    private let before: TerminalMode

    /// Nil when standard input is no terminal.
    static func enter() throws -> RawTerminal? {
        guard StandardStream.input.isTerminal else { return nil }
        let terminal = RawTerminal(before: try TerminalMode.get(StandardStream.input.rawValue))
        try terminal.enterAgain()
        return terminal
    }

    /// After the client was stopped and continued, somebody else has changed the mode.
    func enterAgain() throws {
        try before.raw().set(StandardStream.input.rawValue)
    }

    func restore() {
        // A terminal that is gone needs no mode.
        try? before.set(StandardStream.input.rawValue)
    }

    static func size() -> WindowSize? {
        // Whatever is no terminal has no size.
        try? WindowSize.get(StandardStream.output.rawValue)
    }
}
