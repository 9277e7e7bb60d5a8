import Linux
import SystemPackage

/// The files of one log, which its writer renames as they fill: `NAME`, `NAME.1`, `NAME.2` …, the newest first.
/// Calls may block.
struct LogFiles: Sendable {
    let path: FilePath

    /// All there are, the oldest first; empty when nothing was ever logged. A file that is renamed meanwhile is there once.
    func open() throws(SystemError) -> [SharedFD] {
        var files: [SharedFD] = []
        var seen: Set<UInt64> = []
        // From the newest on: what is renamed while we look turns up again under the next name, and nothing is missed.
        // While its writer moves them, one of the names may be free.
        var missing = 0
        for number in 0... {
            guard let file = try open(number) else {
                missing += 1
                if missing == 2 { break }
                continue
            }
            missing = 0
            if seen.insert(try Self.inode(file)).inserted { files.append(file) }
        }
        return files.reversed()
    }

    /// The file that was begun after this one; nil while this is the newest. When it has been removed already, the oldest
    /// that is left.
    func next(after file: SharedFD) throws(SystemError) -> SharedFD? {
        let all = try open()
        let inode = try Self.inode(file)
        for (index, candidate) in all.enumerated() where try Self.inode(candidate) == inode {
            return index + 1 < all.count ? all[index + 1] : nil
        }
        return all.first
    }

    private func open(_ number: Int) throws(SystemError) -> SharedFD? {
        do {
            return SharedFD(try OwnedFD.open(number == 0 ? path : FilePath("\(path).\(number)"), .readOnly))
        } catch  where error.errno == .noSuchFileOrDirectory {
            return nil
        }
    }

    private static func inode(_ file: SharedFD) throws(SystemError) -> UInt64 {
        try file.withOwned { file throws(SystemError) in try fstat(file).inode }
    }
}
