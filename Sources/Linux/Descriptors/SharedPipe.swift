import CLinux
import Glibc

/// A pipe whose ends may have several owners each.
public func sharedPipe() throws(SystemError) -> (reading: SharedFD, writing: SharedFD) {
    var ends: [Int32] = [-1, -1]
    try check("pipe2") { pipe2(&ends, O_CLOEXEC) }
    return (SharedFD(OwnedFD(adopting: ends[0])), SharedFD(OwnedFD(adopting: ends[1])))
}
