import Linux
import OCI
import SystemPackage

/// The packages that languages' own package managers have put somewhere in a tree.
enum LanguagePackages {
    /// Larger files tell of no package.
    private static let mostBytes: Int64 = 1 << 20

    /// What a file tells of; nothing for any other file, and for one that cannot be read as it should.
    static func packages(in directory: borrowing OwnedFD, _ item: FileWalk.Item) throws -> [InstalledPackage] {
        let parts = item.path.split(separator: "/")
        let (name, folder) = (parts.last ?? "", parts.dropLast().last ?? "")
        guard item.metadata.kind == .regular else { return [] }
        if name == "METADATA" && folder.hasSuffix(".dist-info") || name == "PKG-INFO" && folder.hasSuffix(".egg-info")
            || name.hasSuffix(".egg-info")
        {
            return try text(directory, item).flatMap { python($0, source: item.path) }.map { [$0] } ?? []
        }
        if name == "package.json", isNodeModule(parts.dropLast()) {
            return try text(directory, item).flatMap { node(Array($0.utf8), source: item.path) }.map { [$0] } ?? []
        }
        guard item.metadata.permissions & 0o111 != 0 else { return [] }
        return try GoProgram.packages(openat(directory, item.name, [.readOnly, .noFollow]), source: item.path)
    }

    /// `…/node_modules/name` or `…/node_modules/@scope/name`; elsewhere `package.json` is a part of something.
    private static func isNodeModule(_ folder: ArraySlice<Substring>) -> Bool {
        let above = folder.dropLast()
        if above.last == "node_modules" { return folder.last?.first != "@" }
        return above.last?.first == "@" && above.dropLast().last == "node_modules"
    }

    private static func text(_ directory: borrowing OwnedFD, _ item: FileWalk.Item) throws -> String? {
        guard item.metadata.size <= mostBytes else { return nil }
        let file = try openat(directory, item.name, [.readOnly, .noFollow])
        return String(decoding: try file.read(at: 0, count: Int(item.metadata.size)), as: UTF8.self)
    }

    /// The head of a message: `Name: value` lines up to an empty one.
    static func python(_ metadata: String, source: String) -> InstalledPackage? {
        var fields: [Substring: Substring] = [:]
        for line in metadata.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).prefix(1000) {
            if line.isEmpty { break }
            guard let colon = line.firstIndex(of: ":"), line.first?.isWhitespace == false, fields[line[..<colon]] == nil else { continue }
            fields[line[..<colon]] = line[line.index(after: colon)...].drop { $0 == " " }
        }
        guard let name = fields["Name"], let version = fields["Version"] else { return nil }
        return InstalledPackage(.python, name, version, source: source)
    }

    static func node(_ bytes: [UInt8], source: String) -> InstalledPackage? {
        // Whatever else calls itself so is no package.
        guard let document = try? JSONValue.parse(bytes), let name = document["name"]?.string, let version = document["version"]?.string
        else { return nil }
        return InstalledPackage(.node, name[...], version[...], source: source)
    }
}
