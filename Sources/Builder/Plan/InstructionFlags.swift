/// The `--name=value` words of an instruction, taken one by one; what is left at the end is unknown.
struct InstructionFlags {
    private var values: [(name: String, value: String?)]

    init(_ instruction: Instruction) {
        values = instruction.flags.map { word in
            let flag = String(word.unicodeScalars.dropFirst(2))
            guard let (name, value) = flag.splitOnce("=") else { return (flag, nil) }
            return (name, value)
        }
    }

    mutating func all(_ name: String) throws(BuildError) -> [String] {
        var found: [String] = []
        for flag in values where flag.name == name {
            guard let value = flag.value else { throw .invalid("missing a value on flag: --\(name)") }
            found.append(value)
        }
        values.removeAll { $0.name == name }
        return found
    }

    mutating func one(_ name: String) throws(BuildError) -> String? {
        let found = try all(name)
        if found.count > 1 { throw .invalid("duplicate flag specified: --\(name)") }
        return found.first
    }

    /// `--name`, `--name=true`, `--name=false`
    mutating func bool(_ name: String) throws(BuildError) -> Bool? {
        let found = values.filter { $0.name == name }
        values.removeAll { $0.name == name }
        if found.count > 1 { throw .invalid("duplicate flag specified: --\(name)") }
        guard let flag = found.first else { return nil }
        switch flag.value?.lowercased() {
        case nil, "true": return true
        case "false": return false
        default: throw .invalid("expecting boolean value for flag --\(name), not: \(flag.value ?? "")")
        }
    }

    /// Refuses flags that Docker knows and this builder does not have.
    func refuse(_ names: String..., of keyword: String) throws(BuildError) {
        for flag in values where names.contains(flag.name) {
            throw .invalid("\(keyword) --\(flag.name) is not available yet")
        }
    }

    func finish() throws(BuildError) {
        if let flag = values.first { throw .invalid("unknown flag: --\(flag.name)") }
    }
}
