import Linux

/// What directories get once nothing is made in them any more: their times, and the access list that new files inherit. An
/// archive may have a great many directories, so the paths lie one after the other in one piece of memory, which has a limit.
struct DirectoryTimes {
    static let inheritedList = "system.posix_acl_default"
    private static let mostBytes = 128 << 20

    private var paths: [UInt8] = []
    private var ends: [Int] = []
    private var times: [FileMetadata.Time] = []
    private var lists: [Int: [UInt8]] = [:]
    private var listBytes = 0

    mutating func append(_ path: [FileName], _ time: FileMetadata.Time, inheritedList list: [UInt8]? = nil) throws {
        for (index, name) in path.enumerated() {
            if index > 0 { paths.append(UInt8(ascii: "/")) }
            paths += name.bytes
        }
        if let list {
            lists[ends.count] = list
            listBytes += list.count + 64
        }
        ends.append(paths.count)
        times.append(time)
        guard paths.count + ends.count * 24 + listBytes <= Self.mostBytes else {
            throw ArchiveError.tooLarge("too many directories")
        }
    }

    func forEachFromLast(_ body: (_ path: ArraySlice<UInt8>, FileMetadata.Time, _ list: [UInt8]?) throws -> Void) throws {
        for index in ends.indices.reversed() {
            try body(paths[(index == 0 ? 0 : ends[index - 1])..<ends[index]], times[index], lists[index])
        }
    }
}
