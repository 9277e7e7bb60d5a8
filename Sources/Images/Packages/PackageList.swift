import Linux

/// The packages that dpkg has installed in a tree, by name; those of a second architecture as `name:arch`. Images without
/// dpkg have none.
struct PackageList: Equatable {
    private(set) var versions: [String: String] = [:]

    init(in root: borrowing OwnedFD) throws {
        var (lists, found) = (DistributionPackages(check: {}), PackageCollection())
        var versions: [String: String] = [:]
        try lists.debian(in: root) { package in
            try found.add(package)
            let key = package.name
            versions[versions[key] == nil ? key : "\(key):\(package.architecture)"] = package.version
        }
        self.versions = versions
    }

    static func difference(_ before: PackageList, _ after: PackageList) -> [ImageDifference.Package] {
        Set(before.versions.keys).union(after.versions.keys).sorted().compactMap { name in
            let (old, new) = (before.versions[name], after.versions[name])
            guard old != new else { return nil }
            let kind: ImageDifference.Kind = old == nil ? .added : new == nil ? .removed : .changed
            return ImageDifference.Package(name: name, kind: kind, versionBefore: old, versionAfter: new)
        }
    }
}
