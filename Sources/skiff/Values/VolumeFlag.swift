/// Reads `-v [SOURCE:]TARGET[:OPTIONS]`. An anonymous volume goes to the container's configuration, the rest to the
/// host's.
enum VolumeFlag: Equatable {
    case anonymous(target: String)
    case bind(String)

    init(_ text: String, workingDirectory: String) throws {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard (1...3).contains(parts.count), parts.allSatisfy({ !$0.isEmpty }) else {
            throw UsageError("invalid spec: \(text): empty section between colons")
        }
        guard parts.count > 1 else {
            self = .anonymous(target: parts[0])
            return
        }
        var fixed = parts
        if parts[0].hasPrefix(".") {
            fixed[0] = Paths.absolute(parts[0], in: workingDirectory)
        }
        self = .bind(fixed.joined(separator: ":"))
    }
}
