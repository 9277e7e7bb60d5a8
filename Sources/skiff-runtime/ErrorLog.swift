import Linux
import OCI
import SystemPackage

/// The file that `--log` names: one line for each message, as containerd and Docker read it.
struct ErrorLog {
    enum Level: String {
        case debug, error
    }

    let path: String?
    let isJSON: Bool
    /// Without it only errors are written.
    let tellsAll: Bool

    func write(_ level: Level, _ text: @autoclosure () -> String) {
        guard let path, tellsAll || level == .error else { return }
        let message = text()
        let time = Timestamp.now().description
        let record: JSONValue = .object([("level", .string(level.rawValue)), ("msg", .string(message)), ("time", .string(time))])
        let quoted = JSONValue.string(message).serialized()
        let line = isJSON ? record.serialized() : Array("time=\"\(time)\" level=\(level.rawValue) msg=".utf8) + quoted
        // The error itself goes to standard error as well; a log that cannot be written adds nothing to it.
        let file = try? OwnedFD.open(FilePath(path), [.writeOnly, .create, .append], mode: 0o644)
        try? file?.writeAll(line + [0x0A])
    }
}
