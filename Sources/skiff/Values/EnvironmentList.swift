import FoundationEssentials
import SystemPackage

/// Environment variables and labels from flags and files.
enum EnvironmentList {
    /// `NAME=VALUE` as it is, `NAME` with the value that the client has; a name that the client has not is left out.
    static func resolve(_ entries: [String], environment: [String: String]) -> [String] {
        entries.compactMap { entry in
            if entry.contains("=") { return entry }
            return environment[entry].map { "\(entry)=\($0)" }
        }
    }

    /// The lines of an `--env-file` or a `--label-file`: comments and empty lines are skipped, nothing is unquoted.
    static func lines(inFile path: String) throws -> [String] {
        guard let content = FileManager.default.contents(atPath: path) else {
            throw UsageError("open \(path): no such file or directory")
        }
        return try lines(String(decoding: content, as: UTF8.self), file: path)
    }

    static func lines(_ content: String, file: String) throws -> [String] {
        let text = content.hasPrefix("\u{FEFF}") ? String(content.dropFirst()) : content
        return try text.split(whereSeparator: \.isNewline).compactMap { line in
            let line = line.drop { $0 == " " || $0 == "\t" }
            guard !line.isEmpty, line.first != "#" else { return nil }
            let name = line.prefix { $0 != "=" }
            guard !name.isEmpty else { throw UsageError("invalid env file (\(file)): no variable name on line '\(line)'") }
            guard !name.contains(where: { $0 == " " || $0 == "\t" }) else {
                throw UsageError("invalid env file (\(file)): variable '\(name)' contains whitespaces")
            }
            return String(line)
        }
    }

    /// Labels as a map; one without `=` has an empty value.
    static func labels(_ entries: [String]) -> [String: String] {
        Dictionary(
            entries.map { entry in
                let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                return (String(parts[0]), parts.count == 2 ? String(parts[1]) : "")
            }, uniquingKeysWith: { $1 })
    }
}
