import Linux
import OCI
import SystemPackage

/// `skiff-runtime change-mounts`: mounts come to a container that runs, and go. A process of its own, since it joins the
/// container's mount namespace and never leaves it. All of the change happens, or nothing.
///
///     descriptor 0              a configuration, of which only `mounts` counts: what comes, in order
///     descriptor 1              takes the reason of a failure
///     --namespace-fd N          the container's mount namespace
///     --root-fd N               where paths begin, in place of the namespace's root
///     --mount-fd N              mounts that are there already, which the configuration names by their place in this list
///     --remove PATH IDENTITY    what goes, after all that comes; see `RunningMounts.Removal`
///     --stays PATH              where else the container is to have a mount, which may show the same as one that goes
///     --lazily                  also when it is in use
///     --missing-only            what comes stays away where something is mounted already
///
/// What goes and is not there has gone.
///
/// It ends with 0, with 2 when a mount is in use, with 1 after any other failure.
public enum MountChange {
    /// The word after the program's name.
    static let command = "change-mounts"

    private static let largestConfiguration = 4 << 20

    /// Does not return when the arguments name it.
    public static func main(_ arguments: [String]) {
        guard arguments.first == command else { return }
        do {
            try run(try Request(Array(arguments.dropFirst())))
            endProcess(0)
        } catch {
            // Without a reader the exit code still says that it failed.
            try? StandardStream.output.write(runtimeText(error))
            endProcess(error is RunningMounts.InUse ? 2 : 1)
        }
    }

    struct Request {
        var namespaceFD: Int32 = -1
        var rootFD: Int32?
        var mountFDs: [Int32] = []
        var removals: [RunningMounts.Removal] = []
        var staying: [FilePath] = []
        var lazily = false
        var missingOnly = false

        init(_ arguments: [String]) throws(SuperviseOptions.UsageError) {
            var rest = arguments[...]
            func value(_ option: String) throws(SuperviseOptions.UsageError) -> String {
                guard let value = rest.popFirst() else { throw .init(description: "\(option) needs a value") }
                return value
            }
            func number(_ option: String) throws(SuperviseOptions.UsageError) -> Int32 {
                let text = try value(option)
                guard let number = Int32(text), number > 2 else { throw .init(description: "\(option) \(text): no descriptor") }
                return number
            }
            while let option = rest.popFirst() {
                switch option {
                case "--namespace-fd": namespaceFD = try number(option)
                case "--root-fd": rootFD = try number(option)
                case "--mount-fd": mountFDs.append(try number(option))
                case "--remove":
                    let path = try value(option)
                    guard let removal = RunningMounts.Removal(path, identity: try value(option)) else {
                        throw .init(description: "\(option) \(path): no identity")
                    }
                    removals.append(removal)
                case "--stays": staying.append(FilePath(try value(option)))
                case "--lazily": lazily = true
                case "--missing-only": missingOnly = true
                default: throw .init(description: "unknown option \(option)")
                }
            }
            guard namespaceFD > 2 else { throw .init(description: "--namespace-fd is needed") }
        }
    }

    private static func run(_ request: Request) throws {
        let spec = try RuntimeSpec(bytes: try InheritedSocket.adopt(0).readAll(limit: largestConfiguration))
        // Everything of the host before the host is out of sight.
        let coming = try HostSources.plan(spec.mounts, detached: request.mountFDs)
        let namespace = try InheritedSocket.adopt(request.namespaceFD)
        Identity.setUmask(0)
        let mounts = try RunningMounts(joining: namespace, root: try request.rootFD.map { try HeldFD(InheritedSocket.adopt($0)) })
        var added: [HeldFD] = []
        var removed: [RunningMounts.Removed] = []
        do {
            for planned in coming where try !request.missingOnly || !mounts.isMounted(at: planned.mount.destination) {
                added.append(try mounts.add(planned))
            }
            for removal in request.removals {
                if let gone = try mounts.remove(removal, lazily: request.lazily, staying: request.staying) { removed.append(gone) }
            }
        } catch {
            for mount in removed.reversed() { mounts.putBack(mount) }
            for mount in added.reversed() { mounts.takeBack(mount) }
            throw error
        }
    }
}
