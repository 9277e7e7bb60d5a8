import BuildContext
import Linux
import SystemPackage

/// The files of a context that steer the build: the Dockerfile and the ignore file.
struct ContextFiles {
    let dockerfile: [UInt8]
    let tree: SourceTree

    static let maxIgnoreBytes = 1 << 20

    init(_ request: BuildRequest) throws {
        let (root, directory) = try Self.open(request.context)
        var path: String?
        switch request.dockerfile {
        case .bytes(let bytes): dockerfile = bytes
        case .inContext(let name):
            (dockerfile, path) = try Self.dockerfile(name, root)
        }
        if dockerfile.isEmpty { throw BuildError.invalid("the Dockerfile (\(path ?? "Dockerfile")) cannot be empty") }
        tree = SourceTree(
            root: root, directory: directory, ignored: try Self.ignored(path, root), keepsOwners: false, isBorrowed: directory == nil)
    }

    private static func open(_ context: BuildRequest.Context) throws -> (root: OpenDirectory, own: FilePath?) {
        switch context {
        case .directory(let path): (OpenDirectory(try OwnedFD.open(path, [.readOnly, .directory])), path)
        case .borrowed(let directory): (OpenDirectory(try directory.withOwned { folder throws(SystemError) in try reopenDirectory(folder) }), nil)
        }
    }

    private static func dockerfile(_ name: String, _ root: OpenDirectory) throws -> ([UInt8], String) {
        let path = CleanPath.relative(name.isEmpty ? "Dockerfile" : name)
        for candidate in path == "Dockerfile" ? ["Dockerfile", "dockerfile"] : [path] {
            if let bytes = try root.read("/" + candidate, limit: DockerfileParser.maxBytes) { return (bytes, candidate) }
        }
        throw BuildError.invalid("Cannot locate specified Dockerfile: \(name)")
    }

    static func ignored(_ dockerfile: String?, _ root: OpenDirectory) throws -> IgnorePatterns? {
        for name in IgnorePatterns.fileNames(dockerfile: dockerfile) {
            guard let bytes = try root.read("/" + name, limit: maxIgnoreBytes) else { continue }
            do {
                let patterns = try IgnorePatterns(lines: IgnorePatterns.patterns(in: bytes))
                return patterns.isEmpty ? nil : patterns
            } catch {
                throw BuildError.invalid("error reading \(name): \(error)")
            }
        }
        return nil
    }
}
