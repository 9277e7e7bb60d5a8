import DockerAPI
import EngineClient
import FoundationEssentials
import Linux

/// Shows a build as it goes, and what a failing step said last once more at its end.
struct BuildDisplay: Sendable {
    enum Style: Sendable, Equatable {
        /// Everything, line after line.
        case plain
        /// Steps, and below the present one the last lines of what it says.
        case terminal
        case quiet
        /// The engine's messages as they are.
        case raw

        init(_ text: String) throws {
            switch text {
            case "auto", "": self = .plain
            case "plain": self = .plain
            case "tty":
                guard StandardStream.output.isTerminal else { throw CommandFailure("failed to get console: provided file is not a console") }
                self = .terminal
            case "quiet": self = .quiet
            case "rawjson": self = .raw
            default: throw CommandFailure("invalid progress mode \(text)")
            }
        }
    }

    /// What the engine has told.
    struct Outcome: Sendable {
        var id: String?
        var warnings: Int?
        /// The image was there before the build.
        var isReused = false
        /// The engine cannot read the context where it is.
        var wantsContext = false
        /// Where caches for folders are to be had, in the order in which they were asked for; empty for one that was not made.
        var caches: [String] = []
        /// What the build has taken from elsewhere.
        var lock: String?
    }

    let style: Style
    /// Where it is shown: not where the result itself goes.
    var stream = StandardStream.output
    var shell: FailedStepShell?

    private static let shownLines = 20

    func show(_ response: EngineResponse) async throws -> Outcome {
        var outcome = Outcome()
        var step = ""
        var said: [String] = []
        var screen = BuildScreen()
        try await response.forEachLine { line in
            let message = try JSONDecoder().decode(JSONMessage.self, from: Data(line))
            if style == .raw { try stream.write(String(decoding: line, as: UTF8.self) + "\n") }
            if let found = message.aux?.ID {
                outcome.id = found
                outcome.isReused = message.aux?.Reused == true
            }
            if message.aux?.SendContext == true { outcome.wantsContext = true }
            if let cache = message.aux?.Cache { outcome.caches.append(cache) }
            if let lock = message.aux?.Lock { outcome.lock = lock }
            if let count = message.aux?.Warnings { outcome.warnings = count }
            if let error = message.errorDetail?.message ?? message.error {
                throw failure(error, code: message.errorDetail?.code, step: step, said: said)
            }
            if let id = message.aux?.Shell, let shell {
                if let text = message.status { try StandardStream.error.write(text + "\n") }
                return try await shell.open(id)
            }
            guard let text = message.stream ?? message.status.map({ $0 + "\n" }) else { return }
            if text.hasPrefix("Step ") {
                step = text
                said = []
            } else if !text.hasPrefix(" --->") {
                said += text.split(whereSeparator: \.isNewline).map(String.init)
                said.removeFirst(max(0, said.count - Self.shownLines))
            }
            switch style {
            case .plain: try stream.write(text == " ---> Using cache\n" ? " ---> CACHED\n" : text)
            case .terminal: try stream.write(screen.show(text))
            case .quiet, .raw: break
            }
        }
        return outcome
    }

    private func failure(_ error: String, code: Int?, step: String, said: [String]) -> CommandFailure {
        let code = Int32(truncatingIfNeeded: code ?? 1)
        let rule = "------\n"
        let recall = step.isEmpty || said.isEmpty ? "" : rule + step + said.map { $0 + "\n" }.joined() + rule
        return CommandFailure(recall + error, code: code == 0 ? 1 : code)
    }
}

/// A few lines at the bottom of a terminal that are written over as a step goes on, and taken away when it is done.
struct BuildScreen {
    private static let height = 6
    private var shown: [String] = []
    private var unfinished = ""

    /// The text to write for what the engine says.
    mutating func show(_ text: String) -> String {
        if text.hasPrefix("Step ") || text.hasPrefix("Successfully ") || text.hasPrefix(" - ") || text.hasSuffix("found:\n") {
            let cleared = clear()
            (shown, unfinished) = ([], "")
            return cleared + text
        }
        if text.hasPrefix(" --->") { return text == " ---> Using cache\n" ? clear() + " ---> CACHED\n" : "" }
        let cleared = clear()
        var lines = (unfinished + text).split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map(String.init)
        unfinished = lines.popLast() ?? ""
        // What moves the cursor itself would spoil the picture.
        shown += lines.map { line in String(line.filter { !$0.isASCII || $0.asciiValue.map { $0 >= 32 && $0 != 127 } ?? true }.prefix(120)) }
        shown.removeFirst(max(0, shown.count - Self.height))
        return cleared + shown.map { "  \u{1B}[2m\($0)\u{1B}[0m\n" }.joined()
    }

    private func clear() -> String {
        shown.isEmpty ? "" : "\u{1B}[\(shown.count)A\u{1B}[J"
    }
}
