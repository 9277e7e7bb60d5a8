import Linux
import OCI
import SystemPackage

/// The unit of systemd that holds a container's processes: `<prefix>-<name>.scope` in a slice.
public struct SystemdScope: Sendable, Equatable {
    /// `runc-abc.scope`
    public let unit: String
    /// `system.slice`; `-.slice` is the root.
    public let slice: String
    /// Whether it belongs to the calling user's systemd, not to the machine's.
    public let isUser: Bool

    /// From `cgroupsPath`, `slice:prefix:name`; empty is `:runc:ID`.
    init(cgroupsPath: String, id: String, user: Bool) throws(RuntimeError) {
        let parts = (cgroupsPath.isEmpty ? ":runc:\(id)" : cgroupsPath).split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3 else {
            throw RuntimeError("expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got \"\(cgroupsPath)\" instead")
        }
        let name = parts[2]
        guard !name.isEmpty, !name.contains("/"), name.utf8.count < 200 else {
            throw RuntimeError("invalid systemd unit name in cgroupsPath \(cgroupsPath)")
        }
        isUser = user
        unit = name.hasSuffix(".slice") ? name : "\(parts[1])-\(name).scope"
        slice = parts[0] == "-" ? "-.slice" : parts[0].isEmpty ? (user ? "user.slice" : "system.slice") : parts[0]
        _ = try Self.path(slice: slice)
    }

    init(unit: String, slice: String, isUser: Bool) {
        self.unit = unit
        self.slice = slice
        self.isUser = isUser
    }

    /// Each dash in a slice's name is a level: `a-b.slice` lies at `/a.slice/a-b.slice`.
    static func path(slice: String) throws(RuntimeError) -> String {
        guard slice.hasSuffix(".slice"), slice.count > 6, !slice.contains("/") else { throw RuntimeError("invalid slice name: \(slice)") }
        if slice == "-.slice" { return "" }
        var (path, prefix) = ("", "")
        for part in slice.dropLast(6).split(separator: "-", omittingEmptySubsequences: false) {
            guard !part.isEmpty else { throw RuntimeError("invalid slice name: \(slice)") }
            path += "/\(prefix)\(part).slice"
            prefix += "\(part)-"
        }
        return path
    }

    /// Makes the unit with a first process in it, and answers the group's path below the root of the hierarchy.
    func start(holding pid: Int32, limits: Cgroup.Resources, annotations: [String: String]) throws -> String {
        var manager = try SystemdManager(user: isUser)
        let above = isUser ? try manager.controlGroup() : ""
        var properties: [SystemdManager.Property] = [
            ("Description", .string("container \(unit)")),
            unit.hasSuffix(".slice") ? ("Wants", .strings([slice])) : ("Slice", .string(slice)),
        ]
        if !unit.hasSuffix(".slice") {
            properties += [("Delegate", .boolean(true)), ("PIDs", .array("u", [.uint32(UInt32(pid))]))]
        }
        for name in ["MemoryAccounting", "CPUAccounting", "IOAccounting", "TasksAccounting"] { properties.append((name, .boolean(true))) }
        properties.append(("DefaultDependencies", .boolean(false)))
        properties += try SystemdLimits.properties(limits)
        properties += try Self.properties(annotations: annotations)
        do {
            try manager.startTransientUnit(unit, properties)
        } catch let error as DBusError {
            throw RuntimeError("unable to start unit \"\(unit)\": \(error)")
        }
        return "\(above)\(try Self.path(slice: slice))/\(unit)"
    }

    func update(_ limits: Cgroup.Resources) throws {
        let properties = try SystemdLimits.properties(limits)
        if properties.isEmpty { return }
        do {
            var manager = try SystemdManager(user: isUser)
            try manager.setProperties(unit, properties)
        } catch let error as DBusError {
            throw RuntimeError("unable to set unit properties: \(error)")
        }
    }

    func attach(_ pid: Int32) throws {
        var manager = try SystemdManager(user: isUser)
        try manager.attach([pid], to: unit)
    }

    func stop() throws {
        var manager = try SystemdManager(user: isUser)
        try manager.stopUnit(unit)
    }

    /// Annotations `org.systemd.property.NAME` with a value as GVariant's text. Times in seconds become microseconds,
    /// as systemd has them.
    static func properties(annotations: [String: String]) throws(RuntimeError) -> [SystemdManager.Property] {
        var properties: [SystemdManager.Property] = []
        let prefix = "org.systemd.property."
        for (key, text) in annotations.sorted(by: { $0.key < $1.key }) where key.hasPrefix(prefix) {
            let name = String(key.dropFirst(prefix.count))
            let letters = name.utf8.allSatisfy { UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= $0 }
            guard name.count >= 3, letters else { throw RuntimeError("annotation \(key) name incorrect") }
            guard let value = GVariantText.parse(text) else { throw RuntimeError("annotation \(key)=\(text) value parse error") }
            guard name.hasSuffix("Sec"), !name.hasSuffix("USec") else {
                properties.append((name, value))
                continue
            }
            guard let microseconds = microseconds(value) else { throw RuntimeError("annotation \(key)=\(text): not a number of seconds") }
            properties.append((name.dropLast(3) + "USec", .uint64(microseconds)))
        }
        return properties
    }

    private static func microseconds(_ value: DBusValue) -> UInt64? {
        let seconds: Double? =
            switch value {
            case .int16(let number): Double(number)
            case .uint16(let number): Double(number)
            case .int32(let number): Double(number)
            case .uint32(let number): Double(number)
            case .int64(let number): Double(number)
            case .uint64(let number): Double(number)
            case .double(let number): number
            default: nil
            }
        return seconds.flatMap { UInt64(exactly: ($0 * 1_000_000).rounded(.towardZero)) }
    }
}
