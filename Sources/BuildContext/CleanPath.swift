/// Slash paths as text: the rules of `path.Clean`, which Docker's formats are defined by. Nothing is looked up on disk.
package enum CleanPath {
    /// The shortest equal path: no doubled slashes, no `.`, no `..` that can be resolved, no slash at the end.
    package static func clean(_ path: String) -> String {
        let isAbsolute = path.utf8.first == UInt8(ascii: "/")
        var parts: [Substring] = []
        for part in path.split(separator: "/") where part != "." {
            if part != ".." {
                parts.append(part)
            } else if let last = parts.last, last != ".." {
                parts.removeLast()
            } else if !isAbsolute {
                parts.append(part)
            }
        }
        let joined = (isAbsolute ? "/" : "") + parts.joined(separator: "/")
        return joined.isEmpty ? "." : joined
    }

    /// A path taken as seen from a directory; an absolute one stays.
    package static func join(_ directory: String, _ path: String) -> String {
        clean(path.utf8.first == UInt8(ascii: "/") ? path : directory + "/" + path)
    }

    /// The path without leading slashes and without a way out: relative to a root.
    package static func relative(_ path: String) -> String {
        let cleaned = clean("/" + path)
        return cleaned == "/" ? "." : String(cleaned.dropFirst())
    }
}
