public import Linux

/// What a tree of files has installed, as the lists of package managers in it say: Debian's, Alpine's, those of Python and Node, and
/// programs of Go.
public struct PackageInventory: Sendable, Equatable {
    private static let mostPackages = 100_000

    public private(set) var distribution = Distribution()
    /// In order of their addresses.
    public private(set) var packages: [InstalledPackage] = []
    /// There are packages of a kind that we do not read.
    public private(set) var hasRPM = false

    public init() {}

    /// Reads the files of an image. May block.
    /// - Parameter check: called again and again; ends the reading by throwing
    public init(in root: borrowing OwnedFD, check: () throws -> Void = {}) throws {
        for source in ["etc/os-release", "usr/lib/os-release"] {
            guard let text = try TreeFile.read(source, root, limit: 1 << 20) else { continue }
            distribution = Distribution(osRelease: text)
            break
        }
        hasRPM = try DistributionPackages.hasRPM(in: root)
        var found = Set(try DistributionPackages.debian(in: root) + DistributionPackages.alpine(in: root))
        try FileWalk.run(root) { directory, item in
            try check()
            found.formUnion(try LanguagePackages.packages(in: directory, item))
            guard found.count <= Self.mostPackages else {
                throw ImageError.invalid("the image has more than \(Self.mostPackages) packages")
            }
        }
        packages = found.map { (key: [$0.url(on: distribution).text, $0.source], package: $0) }
            .sorted { $0.key.lexicographicallyPrecedes($1.key) }.map(\.package)
    }

    /// Of lists that are in memory.
    init(distribution: Distribution, packages: [InstalledPackage]) {
        (self.distribution, self.packages) = (distribution, packages)
    }
}
