public import SystemPackage

/// What a directory takes on disk with all that is below it, as `du` tells it: a file with several names counts once, holes
/// do not count. Nothing when there is no such directory; what goes while we look does not count. Mounts below count too.
public func allocatedBytes(of directory: FilePath) throws(SystemError) -> Int64 {
    var usage = DiskUsage()
    do {
        let opened = try OwnedFD.open(directory, [.readOnly, .directory])
        usage.bytes = try fstat(opened).allocatedBytes
        try usage.add(contentsOf: opened)
    } catch  where error.errno == .noSuchFileOrDirectory {
        return 0
    }
    return usage.bytes
}

private struct DiskUsage {
    private struct File: Hashable {
        var device: UInt64
        var inode: UInt64
    }

    var bytes: Int64 = 0
    private var seen: Set<File> = []

    mutating func add(contentsOf directory: borrowing OwnedFD) throws(SystemError) {
        for name in try namesInDirectory(directory) {
            guard let metadata = try fstatatIfExists(directory, name) else { continue }
            if metadata.kind == .directory {
                try add(directory: name, in: directory)
            } else if metadata.links > 1 {
                guard seen.insert(File(device: metadata.device, inode: metadata.inode)).inserted else { continue }
            }
            bytes += metadata.allocatedBytes
        }
    }

    private mutating func add(directory name: FileName, in parent: borrowing OwnedFD) throws(SystemError) {
        do {
            try add(contentsOf: try openat(parent, name, [.readOnly, .directory]))
        } catch  where error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory {
            return  // Gone, or something else by now.
        }
    }
}
