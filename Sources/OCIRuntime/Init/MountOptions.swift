import Linux

/// The options of a mount in the configuration, sorted by who is told of them.
struct MountOptions: Equatable {
    var isBind = false
    var isRecursive = false
    var set: MountAttributes = []
    var clear: MountAttributes = []
    /// For the mounts below as well (`rro` and so on).
    var recursiveSet: MountAttributes = []
    var recursiveClear: MountAttributes = []
    var propagation: MountPropagation?
    var propagationIsRecursive = false
    /// What the file system itself gets to see.
    var data: [String] = []

    init(_ options: [String], type: String?) throws(LaunchError) {
        isBind = type == "bind"
        for option in options { try read(option) }
    }

    private mutating func read(_ option: String) throws(LaunchError) {
        if readPropagation(option) || readAttribute(option) { return }
        switch option {
        case "bind": isBind = true
        case "rbind": (isBind, isRecursive) = (true, true)
        case "", "defaults", "remount", "async", "nomand", "nolazytime", "noiversion", "loud": break
        case "tmpcopyup", "idmap", "ridmap": throw LaunchError(message: "mount option \(option) is not supported")
        default: data.append(option)
        }
    }

    private mutating func readPropagation(_ option: String) -> Bool {
        let name = option.hasPrefix("r") ? String(option.dropFirst()) : option
        guard let found = MountPropagation(name: name) else { return false }
        propagation = found
        propagationIsRecursive = option.hasPrefix("r")
        return true
    }

    private mutating func readAttribute(_ option: String) -> Bool {
        if let change = Self.attributes[option] {
            Self.apply(change, &set, &clear)
            return true
        }
        guard option.hasPrefix("r"), let change = Self.attributes[String(option.dropFirst())] else { return false }
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

    private enum Change {
        case set(MountAttributes)
        case clear(MountAttributes)
    }

    private static let attributes: [String: Change] = [
        "ro": .set(.readOnly), "rw": .clear(.readOnly),
        "nosuid": .set(.noSetUserID), "suid": .clear(.noSetUserID),
        "nodev": .set(.noDevices), "dev": .clear(.noDevices),
        "noexec": .set(.noExecution), "exec": .clear(.noExecution),
        "noatime": .set(.noAccessTime), "atime": .clear(.accessTimes),
        "strictatime": .set(.strictAccessTime), "nostrictatime": .clear(.accessTimes),
        "relatime": .clear(.accessTimes), "norelatime": .set(.strictAccessTime),
        "nodiratime": .set(.noDirectoryAccessTime), "diratime": .clear(.noDirectoryAccessTime),
        "nosymfollow": .set(.noFollowLinks), "symfollow": .clear(.noFollowLinks),
    ]
}

extension MountPropagation {
    /// By the option of mount(8), without the `r` for recursive.
    init?(name: String) {
        switch name {
        case "private": self = .isPrivate
        case "slave": self = .slave
        case "shared": self = .shared
        case "unbindable": self = .unbindable
        default: return nil
        }
    }
}
