import Linux
import SystemPackage

/// The place in a Dockerfile that an error is about, with the lines around it.
struct DockerfileExcerpt {
    let path: String
    let line: Int

    /// From the text of an error that names a line.
    init?(path: String, error: String) {
        let sign = "dockerfile parse error on line "
        guard error.hasPrefix(sign), let line = Int(error.dropFirst(sign.count).prefix { $0 != ":" }), line > 0 else { return nil }
        self.path = path
        self.line = line
    }

    /// nil when the file cannot be read, or has no such line any more: then the error has to do.
    var text: String? {
        guard let bytes = try? OwnedFD.open(FilePath(path), .readOnly).readAll(limit: 1 << 20) else { return nil }
        return text(of: String(decoding: bytes, as: UTF8.self))
    }

    func text(of content: String) -> String? {
        let lines = content.split(separator: "\n", omittingEmptySubsequences: false)
        guard line <= lines.count else { return nil }
        let shown = (max(line - 2, 1)...min(line + 2, lines.count)).filter { $0 < lines.count || !lines[$0 - 1].isEmpty }
        let width = "\(shown.last ?? line)".count
        let rows = shown.map { number in
            let padding = String(repeating: " ", count: width - "\(number)".count)
            let row = " \(padding)\(number) | \(number == line ? ">>>" : "   ") \(lines[number - 1])"
            return String(row[..<(row.lastIndex { !$0.isWhitespace }.map(row.index(after:)) ?? row.startIndex)])
        }
        let rule = String(repeating: "-", count: 20)
        return (["\(path):\(line)", rule] + rows + [rule]).joined(separator: "\n")
    }
}
