public import Linux

/// What a tree of files has installed, as the lists of package managers in it say: Debian's, Alpine's, those of Python and Node, and
/// programs of Go.
public struct PackageInventory: Sendable, Equatable {
    public private(set) var distribution = Distribution()
    /// In order of their addresses.
    public private(set) var packages: [InstalledPackage] = []
    /// There are packages of a kind that we do not read.
    public private(set) var hasRPM = false

    public init() {}

    /// Reads the files of an image. May block.
    /// - Parameter check: called again and again; ends the reading by throwing
    public init(in root: borrowing OwnedFD, check: @escaping () throws -> Void = {}) throws {
        var distribution = Distribution()
        for source in ["etc/os-release", "usr/lib/os-release"] {
            guard let text = try TreeFile.read(source, root, limit: 1 << 20) else { continue }
            distribution = Distribution(osRelease: text)
            break
        }
        var found = PackageCollection()
        var lists = DistributionPackages(check: check)
        try lists.debian(in: root) { try found.add($0) }
        try lists.alpine(in: root) { try found.add($0) }
        try FileWalk.run(root) { directory, item in
            try check()
            for package in try LanguagePackages.packages(in: directory, item) { try found.add(package) }
        }
        self.init(distribution: distribution, packages: Array(found.packages), hasRPM: try DistributionPackages.hasRPM(in: root))
    }

    /// Of lists that are in memory, in any order.
    init(distribution: Distribution, packages: [InstalledPackage], hasRPM: Bool = false) {
        (self.distribution, self.hasRPM) = (distribution, hasRPM)
        // Two may have one address: names of Python's have several spellings.
        self.packages = packages.map { (key: [$0.url(on: distribution).text, $0.source, $0.name, $0.version, $0.architecture], package: $0) }
            .sorted { $0.key.lexicographicallyPrecedes($1.key) }.map(\.package)
    }
}

/// Packages while they are found, each once, and no more than can be told of.
struct PackageCollection {
    private(set) var packages: Set<InstalledPackage> = []
    private var bytes = 0

    mutating func add(_ package: InstalledPackage) throws {
        guard packages.insert(package).inserted else { return }
        // About what it has in a document: more than that is told of no package in fewer words.
        bytes += 512 + 3 * package.name.utf8.count + 2 * package.version.utf8.count + package.source.utf8.count
        guard bytes <= Limits.predicateBytes else {
            throw ImageError.invalid("the image has too many packages: a list of them has more than \(Limits.predicateBytes >> 20) MiB")
        }
    }
}
