/// Why a build failed, in Docker's words.
public enum BuildError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The Dockerfile cannot be read; the text names the line.
    case parse(line: Int, message: String)
    /// A request or an instruction that makes no sense; found before anything ran.
    case invalid(String)
    /// An instruction failed while it was carried out.
    case failed(String)
    /// A `RUN` ended with another code than 0.
    case command(text: String, exitCode: Int32)
    /// The context is the user's own directory, and a step needs it to itself: to mount it, or since somebody changes it meanwhile.
    /// With a copy of it the build can go on.
    case contextIsBorrowed

    public var description: String {
        switch self {
        case .parse(let line, let message):
            line > 0 ? "dockerfile parse error on line \(line): \(message)" : "dockerfile parse error: \(message)"
        case .invalid(let message), .failed(let message): message
        case .contextIsBorrowed: "the context has to be sent for this build"
        case .command(let text, let exitCode): "The command '\(text)' returned a non-zero code: \(exitCode)"
        }
    }

    /// Whether the request, not the engine or a command, is to blame (HTTP 400).
    public var isRequestError: Bool {
        switch self {
        case .parse, .invalid: true
        case .failed, .command, .contextIsBorrowed: false
        }
    }
}
