import BuildContext

/// Something in a Dockerfile that works but is probably not what was meant.
public struct LintWarning: Sendable, Hashable, CustomStringConvertible {
    /// `StageNameCasing`, as BuildKit names it.
    public var rule: String
    public var message: String
    /// 0 when it belongs to no line.
    public var line: Int

    public var description: String { "\(rule): \(message)" + (line > 0 ? " (line \(line))" : "") }
}

/// Which rules hold: the `check` directive of the Dockerfile, or what the client puts in its place.
struct LintOptions: Sendable, Equatable {
    /// `skip=all` leaves out everything.
    var skipped: Set<String> = []
    /// A warning fails the build.
    var isError = false
    /// Rules that hold only when they are asked for.
    var experimental: Set<String> = []

    init() {}

    /// `skip=JSONArgsRecommended,StageNameCasing;error=true`
    init(_ text: String) throws(BuildError) {
        for part in text.split(separator: ";").map({ String($0).trimmed() }) where !part.isEmpty {
            guard let (name, value) = part.splitOnce("=") else { throw .invalid("invalid check option \(part)") }
            let rules = Set(value.split(separator: ",").map { String($0).trimmed().lowercased() })
            switch name.trimmed() {
            case "skip": skipped = rules
            case "experimental": experimental = rules
            case "error":
                switch value.trimmed().lowercased() {
                case "true", "1": isError = true
                case "false", "0": isError = false
                default: throw .invalid("failed to parse check option \"error\": \(value)")
                }
            default: throw .invalid("invalid check option \(name)")
            }
        }
    }

    func includes(_ rule: String) -> Bool {
        let name = rule.lowercased()
        if Self.asksFirst.contains(rule) { return experimental.contains("all") || experimental.contains(name) }
        return !skipped.contains("all") && !skipped.contains(name)
    }

    private static let asksFirst: Set<String> = ["InvalidDefinitionDescription"]
}
