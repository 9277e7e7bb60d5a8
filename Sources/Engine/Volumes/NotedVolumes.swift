import Linux
import SystemPackage

/// The anonymous volumes that are being made or removed with a container, noted in its directory before it happens. What a
/// crash cuts off is finished by the next start: a directory that belongs to no container takes the volumes along that it
/// notes. Calls may block.
///
///     containers/ID/volumes-in-motion      one name a line
struct NotedVolumes: Sendable {
    private let directory: FilePath
    private var file: FilePath { directory.appending("volumes-in-motion") }

    /// In the directory of a container, which is made when it is missing.
    init(in directory: FilePath) {
        self.directory = directory
    }

    func note(_ names: [String]) throws(SystemError) {
        try makeDirectories(directory)
        let notes = try OwnedFD.open(file, [.writeOnly, .create, .append], mode: 0o600)
        try notes.writeAll(names.flatMap { Array("\($0)\n".utf8) })
    }

    func names() throws(SystemError) -> [String] {
        do {
            let text = String(decoding: try OwnedFD.open(file, .readOnly).readAll(limit: 1 << 20), as: UTF8.self)
            // Without its line break a name is not yet one.
            return text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
        } catch  where error.errno == .noSuchFileOrDirectory {
            return []
        }
    }

    /// They belong to their container, or are gone.
    func forget() throws(SystemError) { try unlinkIfExists(file) }
}
