import OCI

/// A seccomp profile as people write it for Docker: the OCI form, and beside it groups of architectures (`archMap`) and
/// rules that hold only for some capabilities, architectures or kernels (`includes`, `excludes`).
struct SeccompProfileFile: Sendable {
    /// What the rules depend on.
    struct Place {
        /// As Go names it: `amd64`.
        var architecture: String
        var capabilities: [String]
        var kernel: (major: Int, minor: Int)
    }

    private struct Architectures {
        var main: String
        var others: [String]
    }

    private struct Condition {
        var capabilities: [String] = []
        var architectures: [String] = []
        var kernel: (major: Int, minor: Int)?
    }

    private struct Rule {
        var syscall: RuntimeSpec.Syscall
        var includes: Condition
        var excludes: Condition
    }

    private let base: RuntimeSpec.Seccomp
    private let map: [Architectures]
    private let rules: [Rule]

    /// Reads the document. Actions, operators and names of calls are the runtime's to check.
    init(_ bytes: [UInt8]) throws(JSONError) {
        let document = try JSONValue.parse(bytes)
        let calls = document["syscalls"]?.array ?? []
        var plain = try Self.members(document, "the profile")
        plain.removeAll { $0.0 == "syscalls" || $0.0 == "archMap" }
        base = try RuntimeSpec.Seccomp(json: .object(plain))
        map = try Self.architectures(document["archMap"])
        guard map.isEmpty || base.architectures.isEmpty else {
            throw JSONError(
                "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'")
        }
        var rules: [Rule] = []
        for (index, call) in calls.enumerated() { rules.append(try Self.rule(call, "syscalls[\(index)]")) }
        self.rules = rules
    }

    /// The profile with what holds at a place.
    func profile(for place: Place) -> RuntimeSpec.Seccomp {
        var profile = base
        let own = Self.names[place.architecture] ?? ""
        if let entry = map.first(where: { $0.main == own }) { profile.architectures = [entry.main] + entry.others }
        profile.syscalls = rules.filter { Self.includes($0.includes, place) && !Self.excludes($0.excludes, place) }.map(\.syscall)
        return profile
    }

    private static let names = ["amd64": "SCMP_ARCH_X86_64", "arm64": "SCMP_ARCH_AARCH64"]

    private static func includes(_ condition: Condition, _ place: Place) -> Bool {
        (condition.architectures.isEmpty || condition.architectures.contains(place.architecture))
            && condition.capabilities.allSatisfy(place.capabilities.contains)
            && condition.kernel.map { place.kernel >= $0 } ?? true
    }

    /// One of them is enough.
    private static func excludes(_ condition: Condition, _ place: Place) -> Bool {
        condition.architectures.contains(place.architecture) || condition.capabilities.contains(where: place.capabilities.contains)
            || condition.kernel.map { place.kernel >= $0 } ?? false
    }

    // MARK: Reading

    private static func rule(_ call: JSONValue, _ path: String) throws(JSONError) -> Rule {
        var names = try strings(call["names"], "\(path).names")
        if let name = call["name"]?.string, !name.isEmpty {
            guard names.isEmpty else {
                throw JSONError("both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'")
            }
            names = [name]
        }
        var plain = try members(call, path).filter { ["action", "errnoRet", "args"].contains($0.0) }
        plain.append(("names", .array(names.map(JSONValue.string))))
        let profile = try RuntimeSpec.Seccomp(
            json: .object([("defaultAction", "SCMP_ACT_ALLOW"), ("syscalls", .array([.object(plain)]))]))
        guard let syscall = profile.syscalls.first else { throw JSONError("\(path) is empty") }
        return Rule(
            syscall: syscall, includes: try condition(call["includes"], "\(path).includes"),
            excludes: try condition(call["excludes"], "\(path).excludes"))
    }

    private static func condition(_ value: JSONValue?, _ path: String) throws(JSONError) -> Condition {
        guard let value, value != .null else { return Condition() }
        _ = try members(value, path)
        var condition = Condition()
        condition.capabilities = try strings(value["caps"], "\(path).caps")
        condition.architectures = try strings(value["arches"], "\(path).arches")
        if let text = value["minKernel"]?.string {
            let parts = text.split(separator: ".", omittingEmptySubsequences: false).map { Int($0) }
            guard parts.count == 2, let major = parts[0], let minor = parts[1] else {
                throw JSONError("invalid kernel version: \(text), expected the form 4.8")
            }
            condition.kernel = (major, minor)
        }
        return condition
    }

    private static func architectures(_ value: JSONValue?) throws(JSONError) -> [Architectures] {
        guard let value, value != .null else { return [] }
        guard let entries = value.array else { throw JSONError("archMap is not an array") }
        var found: [Architectures] = []
        for entry in entries {
            guard let main = entry["architecture"]?.string else { throw JSONError("archMap has an entry without architecture") }
            found.append(Architectures(main: main, others: try strings(entry["subArchitectures"], "archMap.subArchitectures")))
        }
        return found
    }

    private static func members(_ value: JSONValue, _ path: String) throws(JSONError) -> [(String, JSONValue)] {
        guard case .object(let members) = value else { throw JSONError("\(path) is not an object") }
        return members
    }

    private static func strings(_ value: JSONValue?, _ path: String) throws(JSONError) -> [String] {
        guard let value, value != .null else { return [] }
        let strings = value.array?.compactMap(\.string)
        guard let strings, strings.count == value.array?.count else { throw JSONError("\(path) is not an array of strings") }
        return strings
    }
}
