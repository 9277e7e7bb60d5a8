import OCI

/// `--device-cgroup-rule`: `c 189:* rwm` and its like.
struct DeviceCgroupRules {
    let rules: [RuntimeSpec.DeviceRule]

    init(_ texts: [String]) throws(EngineError) {
        var rules: [RuntimeSpec.DeviceRule] = []
        for text in texts {
            guard let rule = Self.rule(text) else {
                throw EngineError(.invalidArgument, "invalid device cgroup rule format: '\(text)'")
            }
            rules.append(rule)
        }
        self.rules = rules
    }

    private static func rule(_ text: String) -> RuntimeSpec.DeviceRule? {
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 3, ["a", "b", "c"].contains(words[0]), (1...3).contains(words[2].count),
            words[2].allSatisfy({ "rwm".contains($0) })
        else { return nil }
        let numbers = words[1].split(separator: ":", omittingEmptySubsequences: false)
        guard numbers.count == 2, numbers.allSatisfy({ $0 == "*" || UInt32($0) != nil && $0.allSatisfy(\.isNumber) }) else { return nil }
        return RuntimeSpec.DeviceRule(
            allow: true, type: String(words[0]), major: Int64(numbers[0]) ?? -1, minor: Int64(numbers[1]) ?? -1,
            access: String(words[2]))
    }
}
