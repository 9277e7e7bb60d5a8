/// One side of `cp`: `container:path`, or a path of the client.
enum CopyPlace: Equatable, Sendable {
    case container(name: String, path: String)
    case local(String)
    case standardStream

    /// A colon before the first slash makes it a container's; `./a:b` is the client's.
    init(_ text: String) {
        if text == "-" {
            self = .standardStream
        } else if !text.hasPrefix("/"), !text.hasPrefix("."), let colon = text.firstIndex(of: ":"), colon > text.startIndex {
            self = .container(name: String(text[..<colon]), path: String(text[text.index(after: colon)...]))
        } else {
            self = .local(text)
        }
    }
}

/// A path with what its end says: `a/` is a directory, `a/.` is what is in it.
struct CopyPath: Equatable, Sendable {
    let path: String
    let meansDirectory: Bool
    let meansContents: Bool

    init(_ text: String) {
        meansContents = text == "." || text.hasSuffix("/.")
        meansDirectory = meansContents || text.hasSuffix("/")
        var short = text[...]
        if text.hasSuffix("/.") { short = short.dropLast() }
        while short.count > 1, short.last == "/" { short = short.dropLast() }
        path = String(short)
    }

    var lastName: String { path.split(separator: "/").last.map(String.init) ?? "/" }

    var parent: String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}

/// Where a copied thing goes and what it is called there. `name` nil: what is in it goes straight into the directory.
struct CopyTarget: Equatable, Sendable {
    let directory: String
    let name: String?

    enum Existing: Equatable, Sendable {
        case nothing, file, directory
    }

    /// The rules of cp(1), with `/.` for the contents of a directory.
    init(source: CopyPath, sourceIsDirectory: Bool, target: CopyPath, existing: Existing) throws {
        switch (existing, sourceIsDirectory) {
        case (.directory, true) where source.meansContents: self.init(directory: target.path, name: nil)
        case (.directory, _): self.init(directory: target.path, name: source.lastName)
        case (.file, true): throw CommandFailure("cannot copy directory")
        case (.file, false) where target.meansDirectory: throw CommandFailure("not a directory")
        case (.nothing, false) where target.meansDirectory: throw CommandFailure("no such directory")
        case (.file, false), (.nothing, _): self.init(directory: target.parent, name: target.lastName)
        }
    }

    private init(directory: String, name: String?) {
        self.directory = directory
        self.name = name
    }
}
