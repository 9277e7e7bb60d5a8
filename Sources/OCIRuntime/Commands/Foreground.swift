import Linux

/// The signals of this program while it stays with a process.
final class HeldSignals {
    let signals: SignalDescriptor

    init(_ signals: consuming SignalDescriptor) {
        self.signals = signals
    }
}

/// Stays with a process until it ends: passes signals on, and shows its terminal where it has one.
struct ForegroundTerminal: ~Copyable {
    private let terminal: HeldFD?
    private let before: TerminalMode?

    /// With a terminal, the own one is made raw until this value goes.
    init(_ terminal: consuming OwnedFD?) throws {
        if let terminal {
            if TerminalMode.isTerminal(0) {
                let mode = try TerminalMode.get(0)
                try WindowSize.get(0).set(terminal.raw)
                try mode.raw().set(0)
                before = mode
            } else {
                before = nil
            }
            self.terminal = HeldFD(terminal)
        } else {
            self.terminal = nil
            before = nil
        }
    }

    deinit {
        // At the end of the program there is nobody left to tell.
        try? before?.set(0)
    }

    func wait(for launched: borrowing Launched, signals: HeldSignals) throws -> ExitStatus {
        guard let terminal else {
            while true {
                let signal = try signals.signals.next()
                if let end = try Self.handle(signal, launched, terminal: -1) { return end }
            }
        }
        return try Self.copy(terminal.fd, launched, signals)
    }

    private static func handle(_ signal: Signal, _ launched: borrowing Launched, terminal: Int32) throws -> ExitStatus? {
        switch signal {
        case .childEnded: return try endOfChild(launched.pid)
        case .windowChanged where terminal >= 0:
            if TerminalMode.isTerminal(0) { try WindowSize.get(0).set(terminal) }
        case .urgentData: break
        default:
            // Ended meanwhile: the end itself is told next.
            try? sendSignal(signal, to: launched.pidfd)
        }
        return nil
    }

    private static func copy(_ terminal: borrowing OwnedFD, _ launched: borrowing Launched, _ signals: HeldSignals) throws
        -> ExitStatus
    {
        let (input, output, signal): (UInt64, UInt64, UInt64) = (0, 1, 2)
        let epoll = try Epoll()
        // A regular file cannot be watched; then there is no input.
        try? epoll.add(0, .readable, token: input)
        try epoll.add(terminal.raw, .readable, token: output)
        try epoll.add(signals.signals.descriptor.raw, .readable, token: signal)
        var end: ExitStatus?
        var isOpen = true
        while end == nil || isOpen {
            let events = try epoll.wait(milliseconds: end == nil ? -1 : 0)
            if end != nil, events.allSatisfy({ $0.token != output }) { break }
            for event in events {
                switch event.token {
                case signal: end = try handle(try signals.signals.next(), launched, terminal: terminal.raw) ?? end
                case output:
                    isOpen = try pass(from: terminal.raw, to: 1)
                    if !isOpen { try epoll.remove(terminal.raw) }
                default:
                    if try !pass(from: 0, to: terminal.raw) { try epoll.remove(0) }
                }
            }
        }
        return end ?? .exited(255)
    }

    /// Copies what is there; false at the end, which for a terminal is an error of the read (`EIO`).
    private static func pass(from source: Int32, to target: Int32) throws -> Bool {
        let reader = try OwnedFD.duplicating(source)
        let writer = try OwnedFD.duplicating(target)
        return withUnsafeTemporaryAllocation(byteCount: 32768, alignment: 1) { buffer in
            guard let count = try? reader.read(into: buffer), count > 0 else { return false }
            return (try? writer.writeAll(UnsafeRawBufferPointer(rebasing: buffer[..<count]))) != nil
        }
    }
}
