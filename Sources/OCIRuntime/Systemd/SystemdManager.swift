import Linux
import SystemPackage

/// The calls to systemd (org.freedesktop.systemd1) that a runtime makes.
struct SystemdManager: ~Copyable {
    private var connection: DBusConnection

    typealias Property = (name: String, value: DBusValue)

    /// The machine's systemd, or the one of the calling user.
    init(user: Bool) throws {
        let rule = "type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved',path='/org/freedesktop/systemd1'"
        var connection = try Self.connect(user: user)
        if connection.isBus {
            let bus = "org.freedesktop.DBus"
            _ = try connection.call(DBusMessage(call: "AddMatch", bus, path: "/org/freedesktop/DBus", destination: bus, [.string(rule)]))
        }
        self.connection = connection
    }

    private static func connect(user: Bool) throws -> DBusConnection {
        if user { return try DBusConnection.open(try userBus(), isBus: true) }
        do {
            return try DBusConnection.open("/run/dbus/system_bus_socket", isBus: true)
        } catch let error as SystemError where [.noSuchFileOrDirectory, .connectionRefused].contains(error.errno) {
            // Without a bus systemd listens itself.
        }
        do {
            return try DBusConnection.open("/run/systemd/private", isBus: false)
        } catch {
            throw RuntimeError("systemd not running on this host, cannot use systemd cgroups manager: \(runtimeText(error))")
        }
    }

    private static func userBus() throws -> FilePath {
        let environment = CurrentProcess.environment
        func variable(_ name: String) -> Substring? {
            environment.first { $0.hasPrefix("\(name)=") }.map { $0.dropFirst(name.count + 1) }
        }
        for address in variable("DBUS_SESSION_BUS_ADDRESS")?.split(separator: ";") ?? [] where address.hasPrefix("unix:path=") {
            return FilePath(String(address.dropFirst(10).prefix { $0 != "," }))
        }
        guard let directory = variable("XDG_RUNTIME_DIR"), !directory.isEmpty else {
            throw RuntimeError("could not find the user's D-Bus: neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set")
        }
        return FilePath(String(directory)).appending("bus")
    }

    private mutating func call(_ member: String, _ body: [DBusValue]) throws -> [DBusValue] {
        try connection.call(
            DBusMessage(
                call: member, "org.freedesktop.systemd1.Manager", path: "/org/freedesktop/systemd1",
                destination: "org.freedesktop.systemd1", body))
    }

    private static func array(_ properties: [Property]) -> DBusValue {
        .array("(sv)", properties.map { .structure([.string($0.name), .variant($0.value)]) })
    }

    /// Waits for the end of a job and answers its result, `done` when all went well.
    private mutating func wait(for job: [DBusValue]) throws -> String {
        guard let path = job.first?.string else { throw RuntimeError("systemd answered without a job") }
        // u id, o job, s unit, s result
        let removed = try connection.signal("JobRemoved") { $0.body.count == 4 && $0.body[1].string == path }
        return removed.body[3].string ?? ""
    }

    /// Makes a unit that exists as long as it has processes.
    mutating func startTransientUnit(_ name: String, _ properties: [Property]) throws {
        let body: [DBusValue] = [.string(name), .string("replace"), Self.array(properties), .array("(sa(sv))", [])]
        let job: [DBusValue]
        do {
            job = try call("StartTransientUnit", body)
        } catch let error as DBusError where error.name.hasSuffix(".UnitExists") {
            // One that failed earlier stays until somebody has taken note.
            try resetFailedUnit(name)
            job = try call("StartTransientUnit", body)
        }
        let result = try wait(for: job)
        if result != "done" {
            try? resetFailedUnit(name)  // The failure itself is told.
            throw RuntimeError("error creating systemd unit `\(name)`: got `\(result)`")
        }
    }

    /// Ends a unit with all its processes and forgets it. One that is gone already is no error.
    mutating func stopUnit(_ name: String) throws {
        do {
            _ = try wait(for: try call("StopUnit", [.string(name), .string("replace")]))
        } catch let error as DBusError where error.name.hasSuffix(".NoSuchUnit") {}
        try resetFailedUnit(name)
    }

    private mutating func resetFailedUnit(_ name: String) throws {
        do {
            _ = try call("ResetFailedUnit", [.string(name)])
        } catch let error as DBusError where error.name.hasSuffix(".NoSuchUnit") {}
    }

    /// Until the next start of the machine.
    mutating func setProperties(_ name: String, _ properties: [Property]) throws {
        _ = try call("SetUnitProperties", [.string(name), .boolean(true), Self.array(properties)])
    }

    /// Moves processes into a unit's group; systemd may where the caller may not.
    mutating func attach(_ pids: [Int32], to name: String) throws {
        _ = try call("AttachProcessesToUnit", [.string(name), .string(""), .array("u", pids.map { .uint32(UInt32($0)) })])
    }

    private mutating func property(_ name: String) throws -> String {
        let answer = try connection.call(
            DBusMessage(
                call: "Get", "org.freedesktop.DBus.Properties", path: "/org/freedesktop/systemd1",
                destination: "org.freedesktop.systemd1", [.string("org.freedesktop.systemd1.Manager"), .string(name)]))
        return answer.first?.string ?? ""
    }

    /// The group that holds all units of this systemd: empty for the machine's, `/user.slice/…/user@1000.service` for a user's.
    mutating func controlGroup() throws -> String { try property("ControlGroup") }
}
