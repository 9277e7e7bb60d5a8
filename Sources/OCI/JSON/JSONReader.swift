/// Takes members out of an object and says by name what is wrong with one. `null` counts as absent, as in Go's programs.
struct JSONReader {
    private let members: [(String, JSONValue)]
    private let path: String

    init(_ value: JSONValue, _ path: String = "") throws(JSONError) {
        guard case .object(let members) = value else {
            throw JSONError("\(path.isEmpty ? "the document" : path) is not an object")
        }
        self.members = members
        self.path = path
    }

    func value(_ key: String) -> JSONValue? {
        for (name, value) in members where name == key {
            if case .null = value { return nil }
            return value
        }
        return nil
    }

    func string(_ key: String) throws(JSONError) -> String? {
        guard let value = value(key) else { return nil }
        guard case .string(let string) = value else { throw wrong(key, "a string") }
        return string
    }

    func bool(_ key: String) throws(JSONError) -> Bool? {
        guard let value = value(key) else { return nil }
        guard case .bool(let bool) = value else { throw wrong(key, "true or false") }
        return bool
    }

    func int(_ key: String) throws(JSONError) -> Int64? {
        guard let value = value(key) else { return nil }
        guard case .int(let int) = value else { throw wrong(key, "an integer") }
        return int
    }

    /// An integer without sign whose largest value stands for "unlimited" and reads as -1.
    func limit(_ key: String) throws(JSONError) -> Int64? {
        if case .unsigned(.max)? = value(key) { return -1 }
        return try int(key)
    }

    func unsigned(_ key: String) throws(JSONError) -> UInt64? {
        switch value(key) {
        case nil: return nil
        case .int(let int)? where int >= 0: return UInt64(int)
        case .unsigned(let unsigned)?: return unsigned
        default: throw wrong(key, "an integer that is not negative")
        }
    }

    func unsigned32(_ key: String) throws(JSONError) -> UInt32? {
        guard let wide = try unsigned(key) else { return nil }
        guard let value = UInt32(exactly: wide) else { throw wrong(key, "an integer below 2^32") }
        return value
    }

    func array(_ key: String) throws(JSONError) -> [JSONValue] {
        guard let value = value(key) else { return [] }
        guard case .array(let array) = value else { throw wrong(key, "an array") }
        return array
    }

    func strings(_ key: String) throws(JSONError) -> [String] {
        var strings: [String] = []
        for element in try array(key) {
            guard case .string(let string) = element else { throw wrong(key, "an array of strings") }
            strings.append(string)
        }
        return strings
    }

    func dictionary(_ key: String) throws(JSONError) -> [String: String] {
        guard let value = value(key) else { return [:] }
        guard case .object(let members) = value else { throw wrong(key, "an object") }
        var dictionary: [String: String] = [:]
        for (name, value) in members {
            guard case .string(let string) = value else { throw wrong(key, "an object of strings") }
            dictionary[name] = string
        }
        return dictionary
    }

    func object<T>(_ key: String, _ make: (JSONReader) throws(JSONError) -> T) throws(JSONError) -> T? {
        guard let value = value(key) else { return nil }
        return try make(try JSONReader(value, name(key)))
    }

    func objects<T>(_ key: String, _ make: (JSONReader) throws(JSONError) -> T) throws(JSONError) -> [T] {
        var objects: [T] = []
        for (index, element) in try array(key).enumerated() {
            objects.append(try make(try JSONReader(element, "\(name(key))[\(index)]")))
        }
        return objects
    }

    func required<T>(_ key: String, _ value: T?) throws(JSONError) -> T {
        guard let value else { throw JSONError("\(name(key)) is missing") }
        return value
    }

    private func name(_ key: String) -> String {
        path.isEmpty ? key : "\(path).\(key)"
    }

    func wrong(_ key: String, _ expected: String) -> JSONError {
        JSONError("\(name(key)) is not \(expected)")
    }
}

/// Collects the members of an object, leaving out what is absent or empty.
struct JSONWriter {
    private(set) var members: [(String, JSONValue)] = []

    var value: JSONValue { .object(members) }

    mutating func add(_ key: String, _ value: JSONValue?) {
        if let value { members.append((key, value)) }
    }

    mutating func add(_ key: String, _ string: String?) {
        if let string { members.append((key, .string(string))) }
    }

    mutating func add(_ key: String, _ int: Int64?) {
        if let int { members.append((key, .int(int))) }
    }

    mutating func add(_ key: String, _ unsigned: UInt32?) {
        if let unsigned { members.append((key, .int(Int64(unsigned)))) }
    }

    mutating func add(_ key: String, _ wide: UInt64?) {
        if let wide { members.append((key, Int64(exactly: wide).map(JSONValue.int) ?? .unsigned(wide))) }
    }

    mutating func add(_ key: String, _ bool: Bool?) {
        if let bool { members.append((key, .bool(bool))) }
    }

    mutating func add(_ key: String, _ strings: [String]) {
        if !strings.isEmpty { members.append((key, .array(strings.map(JSONValue.string)))) }
    }

    mutating func add(_ key: String, _ values: [JSONValue]) {
        if !values.isEmpty { members.append((key, .array(values))) }
    }

    mutating func add(_ key: String, _ dictionary: [String: String]) {
        guard !dictionary.isEmpty else { return }
        members.append((key, .object(dictionary.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })))
    }
}
