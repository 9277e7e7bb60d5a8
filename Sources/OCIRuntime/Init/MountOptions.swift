import Linux
import OCI

/// The options of a mount in the configuration, sorted by who is told of them.
struct MountOptions: Equatable {
    /// Whether owners of files are shown through a table.
    enum Mapping: Equatable {
        case none, top, recursive
    }

    struct Propagation: Equatable {
        var kind: MountPropagation
        var isRecursive: Bool
    }

    var isBind = false
    var isRecursive = false
    /// What is mounted at the destination already gets other options.
    var isRemount = false
    /// A tmpfs begins with what lies at its destination.
    var copiesUp = false
    var mapping = Mapping.none
    var set: MountAttributes = []
    var clear: MountAttributes = []
    /// For the mounts below as well (`rro` and so on).
    var recursiveSet: MountAttributes = []
    var recursiveClear: MountAttributes = []
    /// Applied one after another.
    var propagations: [Propagation] = []
    /// Switches of the whole file system: `sync`, `lazytime`.
    var switches: [String] = []
    /// What the file system itself gets to see.
    var data: [String] = []

    /// With `hasOwnUsers` the container's own table is there for a mount without one.
    init(_ mount: RuntimeSpec.Mount, hasOwnUsers: Bool) throws(LaunchError) {
        func refusal(_ text: String) -> LaunchError {
            LaunchError(message: "invalid mount \(mount.destination): \(text)")
        }
        self.init(mount.options, type: mount.type)
        if !mount.uidMappings.isEmpty, mapping == .none { mapping = .top }
        if mapping != .none {
            if !isBind || isRemount { throw refusal("id-mapped mounts are only supported for bind mounts") }
            if mount.uidMappings.isEmpty, !hasOwnUsers {
                throw refusal("idmap needs uidMappings and gidMappings, or a user namespace")
            }
        }
        if copiesUp, mount.type != "tmpfs" { throw refusal("tmpcopyup is only supported for tmpfs") }
        if switches.contains("iversion") { try readVersions(mount.type, refusal) }
    }

    init(_ options: [String], type: String?) {
        isBind = type == "bind"
        for option in options { read(option) }
    }

    private mutating func read(_ option: String) {
        if readPropagation(option) || readAttribute(option) { return }
        switch option {
        case "bind": isBind = true
        case "rbind": (isBind, isRecursive) = (true, true)
        case "remount": isRemount = true
        case "tmpcopyup": copiesUp = true
        case "idmap": mapping = .top
        case "ridmap": mapping = .recursive
        case "sync", "dirsync", "mand", "lazytime", "iversion": switches.append(option)
        case "async": switches.removeAll { $0 == "sync" }
        case "nomand": switches.removeAll { $0 == "mand" }
        case "nolazytime": switches.removeAll { $0 == "lazytime" }
        case "noiversion": switches.removeAll { $0 == "iversion" }
        // Whether the kernel's log says more or less.
        case "", "defaults", "silent", "loud": break
        default: data += Self.split(option)
        }
    }

    /// ext4 counts versions of files when it is told to, xfs and btrfs always.
    private mutating func readVersions(_ type: String?, _ refusal: (String) -> LaunchError) throws(LaunchError) {
        switches.removeAll { $0 == "iversion" }
        switch type {
        case "ext4": data.append("i_version")
        case "xfs", "btrfs": break
        case _ where isBind: break
        default: throw refusal("option iversion is not supported for file systems of type \(type ?? "none")")
        }
    }

    private mutating func readPropagation(_ option: String) -> Bool {
        guard let found = MountPropagation(option: option) else { return false }
        propagations.append(Propagation(kind: found, isRecursive: option.hasPrefix("r")))
        return true
    }

    private mutating func readAttribute(_ option: String) -> Bool {
        if let change = Self.attribute(option) {
            Self.apply(change, &set, &clear)
            return true
        }
        guard option.hasPrefix("r"), let change = Self.attribute(String(option.dropFirst())) else { return false }
        Self.apply(change, &recursiveSet, &recursiveClear)
        return true
    }

    private static func apply(_ change: Change, _ set: inout MountAttributes, _ clear: inout MountAttributes) {
        switch change {
        case .set(let attribute):
            if !attribute.isDisjoint(with: .accessTimes) { set.subtract(.accessTimes) }
            set.formUnion(attribute)
            clear.subtract(attribute)
        case .clear(let attribute):
            clear.formUnion(attribute)
            set.subtract(attribute)
        }
    }

    /// One text may hold several options, as mount(8) takes them. A comma behind a backslash or inside quotes is none.
    private static func split(_ option: String) -> [String] {
        var (parts, current, isQuoted, isEscaped) = ([String](), "", false, false)
        for character in option {
            if character == ",", !isQuoted, !isEscaped {
                parts.append(current)
                current = ""
                continue
            }
            if character == "\"", !isEscaped { isQuoted.toggle() }
            isEscaped = character == "\\" && !isEscaped
            current.append(character)
        }
        return (parts + [current]).filter { !$0.isEmpty }
    }

    /// To a mount whose root the descriptor is.
    func apply(to mount: borrowing OwnedFD) throws(SystemError) {
        if set != [] || clear != [] { try Mount.setAttributes(mount, set: set, clear: clear) }
        if recursiveSet != [] || recursiveClear != [] {
            try Mount.setAttributes(mount, set: recursiveSet, clear: recursiveClear, recursive: true)
        }
    }

    private enum Change {
        case set(MountAttributes)
        case clear(MountAttributes)
    }

    /// A dictionary would be made at each start, for a few questions.
    private static func attribute(_ option: String) -> Change? {
        switch option {
        case "ro": .set(.readOnly)
        case "rw": .clear(.readOnly)
        case "nosuid": .set(.noSetUserID)
        case "suid": .clear(.noSetUserID)
        case "nodev": .set(.noDevices)
        case "dev": .clear(.noDevices)
        case "noexec": .set(.noExecution)
        case "exec": .clear(.noExecution)
        case "noatime": .set(.noAccessTime)
        case "strictatime", "norelatime": .set(.strictAccessTime)
        case "atime", "nostrictatime", "relatime": .clear(.accessTimes)
        case "nodiratime": .set(.noDirectoryAccessTime)
        case "diratime": .clear(.noDirectoryAccessTime)
        case "nosymfollow": .set(.noFollowLinks)
        case "symfollow": .clear(.noFollowLinks)
        default: nil
        }
    }
}

extension MountPropagation {
    /// By the option of mount(8), with or without the `r` for recursive.
    init?(option: String) {
        switch option {
        case "private", "rprivate": self = .isPrivate
        case "slave", "rslave": self = .slave
        case "shared", "rshared": self = .shared
        case "unbindable", "runbindable": self = .unbindable
        default: return nil
        }
    }
}
