import Linux
import SystemPackage

/// The lists that package managers of distributions keep, read from a tree of files. They may be of any size, with any lines: a package
/// is handed on as soon as it is read.
struct DistributionPackages {
    private static let mostBytes = 64 << 20

    /// Called again and again; ends the reading by throwing.
    let check: () throws -> Void
    /// What all lists together may still have.
    private var bytes: Int

    init(mostBytes: Int = mostBytes, check: @escaping () throws -> Void) {
        (bytes, self.check) = (mostBytes, check)
    }

    /// Reads `var/lib/dpkg/status`, and the files of `status.d`, which images without a package manager have instead.
    mutating func debian(in root: borrowing OwnedFD, _ body: (InstalledPackage) throws -> Void) throws {
        let list = "var/lib/dpkg/status"
        if let status = try read(list, root) { try debian(status, source: list, body) }
        guard let directory = try TreeFile.open("\(list).d", root, .directory) else { return }
        for name in try namesInDirectory(directory).sorted() where !name.description.hasSuffix(".md5sums") {
            try check()
            let source = "\(list).d/\(name)"
            if let status = try read(source, root) { try debian(status, source: source, body) }
        }
    }

    private func debian(_ status: [UInt8], source: String, _ body: (InstalledPackage) throws -> Void) throws {
        try paragraphs(status) { fields in
            guard let name = fields["Package"], let version = fields["Version"] else { return }
            // `install ok installed`; what was removed may leave its configuration. In `status.d` nothing is said.
            if let status = fields["Status"], !status.hasSuffix(" installed") { return }
            let package = InstalledPackage(.debian, name, version, architecture: fields["Architecture"] ?? "", source: source)
            if let package { try body(package) }
        }
    }

    /// Reads what apk keeps: `P:` is the name, `V:` the version, `A:` the architecture.
    mutating func alpine(in root: borrowing OwnedFD, _ body: (InstalledPackage) throws -> Void) throws {
        // Newer ones have it below `usr`.
        for source in ["lib/apk/db/installed", "usr/lib/apk/db/installed"] {
            guard let list = try read(source, root) else { continue }
            return try paragraphs(list) { fields in
                guard let name = fields["P"], let version = fields["V"] else { return }
                let package = InstalledPackage(.alpine, name, version, architecture: fields["A"] ?? "", source: source)
                if let package { try body(package) }
            }
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

    private mutating func read(_ path: String, _ root: borrowing OwnedFD) throws -> [UInt8]? {
        guard let list = try TreeFile.bytes(path, root, limit: bytes) else { return nil }
        bytes -= list.count
        return list
    }

    /// The wanted ones of `Name: value` lines, with an empty line between one thing and the next.
    private func paragraphs(_ text: [UInt8], _ body: ([String: Substring]) throws -> Void) throws {
        var fields: [String: Substring] = [:]
        var (rest, lines) = (text[...], 0)
        while !rest.isEmpty {
            // By bytes: characters are slow, and a line's end is one byte.
            let line = rest.prefix { $0 != UInt8(ascii: "\n") }
            rest = rest.dropFirst(line.count + 1)
            lines += 1
            if lines % 4096 == 0 { try check() }
            if line.isEmpty {
                if !fields.isEmpty { try body(fields) }
                fields.removeAll(keepingCapacity: true)
            } else if line.count <= Self.mostInLine, let (name, value) = Self.field(line) {
                fields[name] = value
            }
        }
        if !fields.isEmpty { try body(fields) }
    }

    /// Nil for what nobody asks for, and that is much. A line that goes on begins with a blank, and is no name.
    private static func field(_ line: ArraySlice<UInt8>) -> (name: String, value: Substring)? {
        guard let colon = line.prefix(16).firstIndex(of: UInt8(ascii: ":")) else { return nil }
        let name = line[..<colon]
        guard let wanted = wanted.first(where: { $0.utf8.elementsEqual(name) }) else { return nil }
        return (wanted, String(decoding: line[(colon + 1)...], as: UTF8.self).drop { $0 == " " })
    }

    private static let wanted = ["Package", "Version", "Status", "Architecture", "P", "V", "A"]
    /// No package has a longer name, version or state.
    private static let mostInLine = 1024
}

/// Files of a tree that a stranger has made: links lead nowhere out of it, and nothing is larger than it may be.
enum TreeFile {
    /// The text of a regular file; nil when there is none.
    static func read(_ path: String, _ root: borrowing OwnedFD, limit: Int) throws -> String? {
        try bytes(path, root, limit: limit).map { String(decoding: $0, as: UTF8.self) }
    }

    static func bytes(_ path: String, _ root: borrowing OwnedFD, limit: Int) throws -> [UInt8]? {
        guard let file = try open(path, root, .regular) else { return nil }
        do {
            return try file.readAll(limit: limit)
        } catch {
            guard error.errno == .fileTooLarge else { throw error }
            throw ImageError.invalid("\(path) of the image is too large")
        }
    }

    /// Nil when there is no such thing, or something else: that is found out before it is opened, since to open a device can do
    /// something.
    static func open(_ path: String, _ root: borrowing OwnedFD, _ kind: FileMetadata.Kind) throws -> OwnedFD? {
        do {
            let place = try PathInRoot.open(path, root: root, flags: .path)
            guard try fstat(place).kind == kind else { return nil }
            // What was looked at, and not the path once more.
            return try OwnedFD.open(FilePath("/proc/self/fd/\(place.raw)"), .readOnly)
        } catch {
            let missing: [Errno] = [.noSuchFileOrDirectory, .notDirectory, .tooManySymbolicLinkLevels]
            guard missing.contains(error.errno) else { throw error }
            return nil
        }
    }
}
