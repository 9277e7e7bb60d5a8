import FoundationEssentials
import Linux
import OCI
import SystemPackage

/// The command line of debootstrap or mmdebstrap; both understand this one.
struct BootstrapCommand: Sendable {
    let tool: FilePath
    private let unshare: FilePath
    private let suite: String
    private let mirror: String
    private let options: [String]

    /// Checks the request and looks for the tool. May block.
    init(_ request: BootstrapRequest) throws {
        guard let tool = try Self.find(["debootstrap", "mmdebstrap"]) else {
            throw ImageError.invalid("neither debootstrap nor mmdebstrap is installed on this machine")
        }
        guard let unshare = try Self.find(["unshare"]) else { throw ImageError.invalid("unshare is not installed on this machine") }
        self.tool = tool
        self.unshare = unshare
        let distribution = request.reference.path.split(separator: "/").last.map(String.init) ?? ""
        suite = try Self.suite(request.suite ?? request.reference.tag ?? "latest", distribution)
        mirror = try request.mirror ?? Self.hostMirror(distribution)
        for word in [request.variant, suite] + request.include where !Self.isWord(word) {
            throw ImageError.invalid("\(word.debugDescription) is no name of a suite, a variant or a package")
        }
        guard ["http://", "https://", "file:///"].contains(where: mirror.hasPrefix), !mirror.contains(where: \.isWhitespace) else {
            throw ImageError.invalid("\(mirror.debugDescription) is no address of a mirror")
        }
        let include = request.include.isEmpty ? [] : ["--include=\(request.include.joined(separator: ","))"]
        options = ["--variant=\(request.variant)"] + include
    }

    /// As the history of the image tells it.
    func shown(root: String) -> String {
        ([tool.lastComponent?.string ?? ""] + options + [suite, root, mirror]).filter { !$0.isEmpty }.joined(separator: " ")
    }

    /// Starts the tool in mount and process namespaces of its own: what it mounts and starts goes when it ends, however
    /// that happens. Answers its pid and what it prints.
    func start(root: FilePath) throws -> (pid: Int32, output: SharedFD) {
        let (reading, writing) = try makePipe()
        let null = try OwnedFD.open("/dev/null", .readOnly)
        let pid = try spawn(
            unshare,
            arguments: ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL", tool.string] + options
                + [suite, root.string, mirror],
            environment: Self.environment(), descriptors: [null.raw, writing.raw, writing.raw])
        return (pid, reading)
    }

    private static func environment() -> [String] {
        let inherited = ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"]
        let all = ProcessInfo.processInfo.environment
        return inherited.compactMap { name in all[name].map { "\(name)=\($0)" } } + [
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "HOME=/root",
        ]
    }

    private static func find(_ names: [String]) throws -> FilePath? {
        for name in names {
            for folder in ["/usr/sbin", "/usr/bin", "/sbin", "/bin"] {
                let path = FilePath(folder).appending(name)
                if try lstatIfExists(path) != nil { return path }
            }
        }
        return nil
    }

    private static func isWord(_ text: String) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= 100 else { return false }
        let isStart = { (byte: UInt8) in "abcdefghijklmnopqrstuvwxyz0123456789".utf8.contains(byte) }
        return isStart(first) && text.utf8.allSatisfy { isStart($0) || "+.-:".utf8.contains($0) }
    }

    /// The suite that a tag means: `bookworm`, `bookworm-slim`, `12`, `latest`.
    private static func suite(_ tag: String, _ distribution: String) throws -> String {
        let name = tag.hasSuffix("-slim") ? String(tag.dropLast(5)) : tag
        let numbers = [
            "debian": ["latest": "stable", "11": "bullseye", "12": "bookworm", "13": "trixie"],
            "ubuntu": ["latest": "noble", "20.04": "focal", "22.04": "jammy", "24.04": "noble"],
        ]
        return numbers[distribution]?[name] ?? name
    }

    /// The first address among the host's package sources that is a mirror of the distribution.
    private static func hostMirror(_ distribution: String) throws -> String {
        for file in try sourceFiles() {
            let text = String(decoding: try OwnedFD.open(file, .readOnly).readAll(limit: 1 << 20), as: UTF8.self)
            let lines = text.split(separator: "\n").filter { !$0.hasPrefix("#") }
            for word in lines.flatMap({ $0.split(whereSeparator: \.isWhitespace) }) {
                let address = word.hasSuffix("/") ? word.dropLast() : word
                if address.hasPrefix("http"), address.hasSuffix("/\(distribution)") { return String(address) }
            }
        }
        switch distribution {
        case "debian": return "http://deb.debian.org/debian"
        case "ubuntu": return "http://archive.ubuntu.com/ubuntu"
        default: throw ImageError.invalid("no mirror is known for \(distribution)")
        }
    }

    private static func sourceFiles() throws -> [FilePath] {
        let main: FilePath = "/etc/apt/sources.list"
        let folder: FilePath = "/etc/apt/sources.list.d"
        var files: [FilePath] = []
        if try lstatIfExists(folder) != nil {
            let opened = try OwnedFD.open(folder, [.readOnly, .directory])
            files = try namesInDirectory(opened).sorted().map(\.description)
                .filter { $0.hasSuffix(".list") || $0.hasSuffix(".sources") }.map { folder.appending($0) }
        }
        return try lstatIfExists(main) == nil ? files : [main] + files
    }
}
