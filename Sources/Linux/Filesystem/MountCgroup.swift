public import SystemPackage

extension Cgroup {
    /// What a container sees of its cgroup: the group's own directories and the names they get below `/sys/fs/cgroup`.
    public enum View: Sendable, Equatable {
        /// Version 2: this directory is all of it.
        case whole(FilePath)
        /// Version 1: a directory for each hierarchy, and links from single controllers to those that share one.
        case hierarchies([(name: String, directory: FilePath)], links: [(name: String, target: String)])

        public static func == (left: View, right: View) -> Bool {
            switch (left, right) {
            case (.whole(let a), .whole(let b)): a == b
            case (.hierarchies(let a, let aLinks), .hierarchies(let b, let bLinks)):
                a.elementsEqual(b, by: ==) && aLinks.elementsEqual(bLinks, by: ==)
            default: false
            }
        }
    }

    public var view: View {
        switch trees {
        case .two(let directory): return .whole(directory)
        case .one(let all):
            var hierarchies: [(name: String, directory: FilePath)] = []
            var links: [(name: String, target: String)] = []
            for entry in all.entries {
                let (controller, directory) = (entry.controller, entry.directory)
                // The mount point of the hierarchy: what is left without the group's own path.
                let mountPoint = FilePath(String(directory.string.dropLast(path.utf8.count)))
                guard let name = mountPoint.lastComponent?.string else { continue }
                if !hierarchies.contains(where: { $0.name == name }) { hierarchies.append((name, directory)) }
                if name != controller.rawValue { links.append((controller.rawValue, name)) }
            }
            return .hierarchies(hierarchies, links: links)
        }
    }
}
