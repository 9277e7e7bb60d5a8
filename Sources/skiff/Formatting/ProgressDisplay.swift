import DockerAPI
import EngineClient
import FoundationEssentials
import Linux
import OCI

/// Shows a stream of progress messages: text as it comes, and one line for each thing that is transferred, renewed in
/// place when a terminal is there.
struct ProgressDisplay: Sendable {
    let stream: StandardStream
    var isQuiet = false

    /// The results that came in the stream. An error in it is thrown with the exit code that it names.
    func show(_ response: EngineResponse) async throws -> [JSONMessage.Aux] {
        var results: [JSONMessage.Aux] = []
        var lines = ProgressLines(isTerminal: stream.isTerminal)
        try await response.forEachLine { line in
            let message = try JSONDecoder().decode(JSONMessage.self, from: Data(line))
            if let aux = message.aux { results.append(aux) }
            if let error = message.errorDetail?.message ?? message.error {
                let code = Int32(truncatingIfNeeded: message.errorDetail?.code ?? 1)
                throw CommandFailure(error, code: code == 0 ? 1 : code)
            }
            guard !isQuiet else { return }
            let text = lines.text(for: message)
            if !text.isEmpty { try stream.write(text) }
        }
        return results
    }
}

/// Remembers which line belongs to which id, so that a terminal can show them renewed.
struct ProgressLines {
    let isTerminal: Bool
    private var ids: [String] = []

    init(isTerminal: Bool) { self.isTerminal = isTerminal }

    mutating func text(for message: JSONMessage) -> String {
        if let stream = message.stream { return stream }
        guard let status = message.status else { return "" }
        let bar = bar(message.progressDetail)
        guard let id = message.id, !id.isEmpty else {
            ids = []
            return isTerminal || bar.isEmpty ? "\(status)\(bar)\n" : ""
        }
        guard isTerminal else { return bar.isEmpty ? "\(id): \(status)\n" : "" }
        let line = "\u{1B}[2K\r\(id): \(status)\(bar)"
        guard let index = ids.firstIndex(of: id) else {
            ids.append(id)
            return "\(line)\n"
        }
        let up = ids.count - index
        return "\u{1B}[\(up)A\(line)\r\u{1B}[\(up)B"
    }

    private func bar(_ detail: JSONMessage.ProgressDetail?) -> String {
        guard let current = detail?.current, current > 0 else { return "" }
        guard let total = detail?.total, total > 0 else { return " \(HumanText.size(current))" }
        let width = 50
        let filled = min(width, Int(Double(current) / Double(total) * Double(width)))
        let done = String(repeating: "=", count: filled) + (filled < width ? ">" : "")
        let rest = String(repeating: " ", count: max(0, width - filled - 1))
        return " [\(done)\(rest)] \(HumanText.size(current))/\(HumanText.size(total))"
    }
}
