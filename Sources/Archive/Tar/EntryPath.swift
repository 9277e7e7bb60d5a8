import Linux

/// The names on the way to an entry of an archive: without empty ones, `.` and `..`, of which the last takes back the
/// name before it. Nil when it leaves the root, or a name is impossible.
func safeComponents(_ path: [UInt8]) -> [FileName]? {
    var names: [FileName] = []
    for part in path.split(separator: UInt8(ascii: "/")) {
        if part.elementsEqual(".".utf8) { continue }
        if part.elementsEqual("..".utf8) {
            if names.popLast() == nil { return nil }
            continue
        }
        guard let name = try? FileName(part) else { return nil }  // The caller tells which entry it was.
        names.append(name)
    }
    return names
}

/// The names of a path that was made from names before.
func pathComponents(_ path: [UInt8]) -> [FileName] { safeComponents(path) ?? [] }
