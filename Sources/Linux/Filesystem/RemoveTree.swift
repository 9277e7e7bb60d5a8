import CLinux
import Glibc
public import SystemPackage

/// Removes a name and all below it. Links are removed, never followed; what is already gone is no error. Stops at a mount
/// point (`EBUSY`).
public func removeTree(in directory: borrowing OwnedFD, _ name: FileName) throws(SystemError) {
    do {
        try unlinkat(directory, name)
        return
    } catch  where error.errno == .noSuchFileOrDirectory {
        return
    } catch  where error.errno == .isDirectory || error.errno == .notPermitted {
        // A directory: emptied below.
    }
    let opened: OwnedFD
    do {
        opened = try openat(directory, name, [.readOnly, .directory])
    } catch  where error.errno == .noSuchFileOrDirectory {
        return
    }
    // What is mounted there belongs to somebody else.
    if try isMountPoint(directory, name) { throw SystemError(errno: .resourceBusy, call: "remove tree", subject: name.description) }
    for child in try namesInDirectory(opened) { try removeTree(in: opened, child) }
    do {
        try unlinkat(directory, name, directory: true)
    } catch  where error.errno == .noSuchFileOrDirectory {
        return
    }
}

/// The same for a path that the program made up.
public func removeTree(_ path: FilePath) throws(SystemError) {
    let (directory, name) = path.place
    if name.isEmpty {
        throw SystemError(errno: .invalidArgument, call: "remove tree", subject: path.string)
    }
    let parent: OwnedFD
    do {
        parent = try OwnedFD.open(directory, [.path, .directory])
    } catch  where error.errno == .noSuchFileOrDirectory {
        return
    }
    try removeTree(in: parent, FileName(name))
}
