import Linux
import SystemPackage

/// The packages that dpkg has installed in a tree, by name; those of a second architecture as `name:arch`. Images without
/// dpkg have none.
struct PackageList: Equatable {
    private static let mostBytes = 64 << 20

    private(set) var versions: [String: String] = [:]

    /// Reads `var/lib/dpkg/status`, and the files of `status.d`, which images without a package manager have instead.
    init(in root: borrowing OwnedFD) throws {
        if let status = try Self.read("var/lib/dpkg/status", root) { add(status) }
        guard let directory = try Self.open("var/lib/dpkg/status.d", root, [.readOnly, .directory]) else { return }
        for name in try namesInDirectory(directory).sorted() where !name.description.hasSuffix(".md5sums") {
            if let status = try Self.read("var/lib/dpkg/status.d/\(name)", root) { add(status) }
        }
    }

    static func difference(_ before: PackageList, _ after: PackageList) -> [ImageDifference.Package] {
        Set(before.versions.keys).union(after.versions.keys).sorted().compactMap { name in
            let (old, new) = (before.versions[name], after.versions[name])
            guard old != new else { return nil }
            let kind: ImageDifference.Kind = old == nil ? .added : new == nil ? .removed : .changed
            return ImageDifference.Package(name: name, kind: kind, versionBefore: old, versionAfter: new)
        }
    }

    private mutating func add(_ status: Substring) {
        var fields: [Substring: Substring] = [:]
        for line in status.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.isEmpty {
                add(fields)
                fields = [:]
            } else if let colon = line.firstIndex(of: ":"), line.first != " ", line.first != "\t" {
                fields[line[..<colon]] = line[line.index(after: colon)...].drop { $0 == " " }
            }
        }
        add(fields)
    }

    private mutating func add(_ fields: [Substring: Substring]) {
        guard let name = fields["Package"], let version = fields["Version"] else { return }
        // `install ok installed`; what was removed may leave its configuration. In `status.d` nothing is said.
        if let status = fields["Status"], !status.hasSuffix(" installed") { return }
        let key = String(name)
        versions[versions[key] == nil ? key : "\(key):\(fields["Architecture"] ?? "")"] = String(version)
    }

    private static func read(_ path: String, _ root: borrowing OwnedFD) throws -> Substring? {
        guard let file = try open(path, root, .readOnly), try fstat(file).kind == .regular else { return nil }
        return String(decoding: try file.readAll(limit: mostBytes), as: UTF8.self)[...]
    }

    /// Nil when there is no such thing, or something else.
    private static func open(_ path: String, _ root: borrowing OwnedFD, _ flags: OpenFlags) throws -> OwnedFD? {
        do {
            return try PathInRoot.open(path, root: root, flags: flags.union(.nonBlocking))
        } catch {
            let missing: [Errno] = [.noSuchFileOrDirectory, .notDirectory, .tooManySymbolicLinkLevels]
            guard missing.contains(error.errno) else { throw error }
            return nil
        }
    }
}
