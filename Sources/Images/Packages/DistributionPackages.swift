import Linux
import SystemPackage

/// The lists that package managers of distributions keep, read from a tree of files.
enum DistributionPackages {
    private static let mostBytes = 64 << 20

    /// Reads `var/lib/dpkg/status`, and the files of `status.d`, which images without a package manager have instead.
    static func debian(in root: borrowing OwnedFD) throws -> [InstalledPackage] {
        let list = "var/lib/dpkg/status"
        var found: [InstalledPackage] = []
        if let status = try TreeFile.read(list, root, limit: mostBytes) { found += debian(status, source: list) }
        guard let directory = try TreeFile.open("\(list).d", root, .directory) else { return found }
        for name in try namesInDirectory(directory).sorted() where !name.description.hasSuffix(".md5sums") {
            let source = "\(list).d/\(name)"
            if let status = try TreeFile.read(source, root, limit: mostBytes) { found += debian(status, source: source) }
        }
        return found
    }

    static func debian(_ status: String, source: String) -> [InstalledPackage] {
        paragraphs(status).compactMap { fields in
            guard let name = fields["Package"], let version = fields["Version"] else { return nil }
            // `install ok installed`; what was removed may leave its configuration. In `status.d` nothing is said.
            if let status = fields["Status"], !status.hasSuffix(" installed") { return nil }
            return InstalledPackage(.debian, name, version, architecture: fields["Architecture"] ?? "", source: source)
        }
    }

    /// Reads what apk keeps: `P:` is the name, `V:` the version, `A:` the architecture.
    static func alpine(in root: borrowing OwnedFD) throws -> [InstalledPackage] {
        // Newer ones have it below `usr`.
        for source in ["lib/apk/db/installed", "usr/lib/apk/db/installed"] {
            if let list = try TreeFile.read(source, root, limit: mostBytes) { return alpine(list, source: source) }
        }
        return []
    }

    static func alpine(_ list: String, source: String) -> [InstalledPackage] {
        paragraphs(list).compactMap { fields in
            guard let name = fields["P"], let version = fields["V"] else { return nil }
            return InstalledPackage(.alpine, name, version, architecture: fields["A"] ?? "", source: source)
        }
    }

    static func hasRPM(in root: borrowing OwnedFD) throws -> Bool {
        for folder in ["var/lib/rpm", "usr/lib/sysimage/rpm"] {
            for name in ["rpmdb.sqlite", "Packages", "Packages.db"] {
                if try TreeFile.open("\(folder)/\(name)", root, .regular) != nil { return true }
            }
        }
        return false
    }

    /// The wanted ones of `Name: value` lines, with an empty line between one thing and the next.
    private static func paragraphs(_ text: String) -> [[Substring: Substring]] {
        var found: [[Substring: Substring]] = []
        var fields: [Substring: Substring] = [:]
        // By bytes: characters are slow, and a line's end is one byte.
        for line in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            let line = Substring(line)
            if line.isEmpty {
                if !fields.isEmpty { found.append(fields) }
                fields = [:]
            } else if let colon = line.utf8.firstIndex(of: UInt8(ascii: ":")), wanted.contains(line[..<colon]) {
                // What nobody asks for is much. A line that goes on begins with a blank, and is no name.
                fields[line[..<colon]] = line[line.utf8.index(after: colon)...].drop { $0 == " " }
            }
        }
        return fields.isEmpty ? found : found + [fields]
    }

    private static let wanted: Set<Substring> = ["Package", "Version", "Status", "Architecture", "P", "V", "A"]
}

/// Files of a tree that a stranger has made: links lead nowhere out of it, and nothing is larger than it may be.
enum TreeFile {
    /// The text of a regular file; nil when there is none.
    static func read(_ path: String, _ root: borrowing OwnedFD, limit: Int) throws -> String? {
        guard let file = try open(path, root, .regular) else { return nil }
        do {
            return String(decoding: try file.readAll(limit: limit), as: UTF8.self)
        } catch {
            guard error.errno == .fileTooLarge else { throw error }
            throw ImageError.invalid("\(path) of the image has more than \(limit >> 20) MiB")
        }
    }

    /// Nil when there is no such thing, or something else: that is found out before it is opened, since to open a device can do
    /// something.
    static func open(_ path: String, _ root: borrowing OwnedFD, _ kind: FileMetadata.Kind) throws -> OwnedFD? {
        do {
            guard try fstat(PathInRoot.open(path, root: root, flags: .path)).kind == kind else { return nil }
            return try PathInRoot.open(path, root: root, flags: .readOnly)
        } catch {
            let missing: [Errno] = [.noSuchFileOrDirectory, .notDirectory, .tooManySymbolicLinkLevels]
            guard missing.contains(error.errno) else { throw error }
            return nil
        }
    }
}
