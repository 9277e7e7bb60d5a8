/// Many ports in few words. Docker's API has a member for every port; in memory, on disk and between the parts of the engine a
/// run of ports that lead to a run of ports is one member:
///
/// ```
/// "20000/tcp": [{"HostPort": "30000"}], "20001/tcp": [{"HostPort": "30001"}], …
/// "20000-29999/tcp": [{"HostPort": "30000-39999"}]
/// ```
/// Documents are changed as text: decoding ten thousand members and encoding them takes a hundred times as long.
public enum PortRanges {
    /// A shorter run stays as it is.
    static let shortest = 16

    /// Puts runs together.
    public static func folded(_ ports: PortMap) -> PortMap {
        guard ports.count >= shortest else { return ports }
        var (folded, entries): (PortMap, [PortEntry]) = ([:], [])
        for (key, bindings) in ports {
            if let key = PortKey(key) { entries.append(PortEntry(key, bindings)) } else { folded.updateValue(bindings, forKey: key) }
        }
        for entry in merged(entries) ?? entries { folded.updateValue(entry.value.list, forKey: entry.key.text) }
        return folded
    }

    /// The same for ports that are exposed.
    public static func folded(_ ports: [String: EmptyObject]) -> [String: EmptyObject] {
        guard ports.count >= shortest else { return ports }
        var (folded, entries): ([String: EmptyObject], [PortEntry]) = ([:], [])
        for key in ports.keys {
            if let key = PortKey(key) { entries.append(PortEntry(key, .exposed)) } else { folded[key] = EmptyObject() }
        }
        for entry in merged(entries) ?? entries { folded[entry.key.text] = EmptyObject() }
        return folded
    }

    /// One member for each port again.
    public static func unfolded(_ ports: PortMap) -> PortMap {
        var unfolded: PortMap = [:]
        for (text, bindings) in ports {
            guard let key = PortKey(text), key.first != key.last, let singles = PortEntry(key, bindings).singles else {
                unfolded.updateValue(bindings, forKey: text)
                continue
            }
            for single in singles { unfolded.updateValue(single.value.list, forKey: single.key.text) }
        }
        return unfolded
    }

    public static func unfolded(_ keys: some Collection<String>) -> [String] {
        keys.flatMap { text in
            guard let key = PortKey(text), key.first != key.last else { return [text] }
            return (key.first...key.last).map { "\($0)/\(key.proto)" }
        }
    }

    /// How many bindings there are, without making one for each.
    public static func count(_ ports: PortMap) -> Int {
        ports.reduce(0) { count, port in
            let run = PortKey(port.key).map { Int($0.last - $0.first) + 1 } ?? 1
            return count + run * max(1, port.value?.count ?? 0)
        }
    }

    // MARK: Documents

    /// Puts runs together in a request of the API. Whatever is not as it should be stays as it is, for others to refuse.
    public static func folded(json: [UInt8]) -> [UInt8] {
        changed(json) { entries in
            guard entries.count >= shortest, let merged = merged(entries), merged.count < entries.count else { return nil }
            return merged
        }
    }

    /// One member for each port again, in an answer of the API.
    public static func unfolded(json: [UInt8]) -> [UInt8] {
        changed(json) { entries in
            guard entries.contains(where: { $0.key.first != $0.key.last }) else { return nil }
            var singles: [PortEntry] = []
            for entry in entries {
                guard let all = entry.singles else { return nil }
                singles += all
            }
            return singles
        }
    }

    private static func changed(_ json: [UInt8], _ change: ([PortEntry]) -> [PortEntry]?) -> [UInt8] {
        json.withUnsafeBufferPointer { bytes in
            var scanner = PortScanner(bytes)
            var (result, copied): ([UInt8], Int) = ([], 0)
            while scanner.findPorts() {
                let start = scanner.position
                guard let entries = scanner.entries(), let changed = change(entries) else {
                    scanner.position = max(scanner.position, start + 1)
                    continue
                }
                result += bytes[copied..<start]
                write(changed, to: &result)
                copied = scanner.position
            }
            return copied == 0 ? json : result + bytes[copied...]
        }
    }

    private static func write(_ entries: [PortEntry], to result: inout [UInt8]) {
        result.append(UInt8(ascii: "{"))
        for (index, entry) in entries.enumerated() {
            result += (index == 0 ? "\"" : ",\"").utf8
            result += entry.key.text.utf8
            switch entry.value {
            case .exposed: result += "\":{}".utf8
            case .none: result += "\":null".utf8
            case .bindings(let bindings):
                result += "\":[".utf8
                for (index, binding) in bindings.enumerated() {
                    result += (index == 0 ? "{\"HostIp\":\"" : ",{\"HostIp\":\"").utf8
                    result += (binding.HostIp ?? "").utf8
                    result += "\",\"HostPort\":\"".utf8
                    result += (binding.HostPort ?? "").utf8
                    result += "\"}".utf8
                }
                result.append(UInt8(ascii: "]"))
            }
        }
        result.append(UInt8(ascii: "}"))
    }

    /// Nil where a port is named twice.
    private static func merged(_ entries: [PortEntry]) -> [PortEntry]? {
        let sorted = entries.sorted { ($0.key.proto, $0.key.first) < ($1.key.proto, $1.key.first) }
        var merged: [PortEntry] = []
        var index = 0
        while index < sorted.count {
            var end = index + 1
            while end < sorted.count, sorted[end].continues(sorted[end - 1]) { end += 1 }
            if end < sorted.count, sorted[end].key.proto == sorted[end - 1].key.proto, sorted[end].key.first <= sorted[end - 1].key.last {
                return nil
            }
            let (first, last) = (sorted[index], sorted[end - 1])
            if Int(last.key.last) - Int(first.key.first) + 1 >= shortest, end > index + 1 {
                merged.append(first.through(last))
            } else {
                merged += sorted[index..<end]
            }
            index = end
        }
        return merged
    }
}

/// `80/tcp`, or a run: `8000-8099/udp`
public struct PortKey: Sendable, Hashable {
    public let first: UInt16
    public let last: UInt16
    public let proto: String

    init(_ first: UInt16, _ last: UInt16, _ proto: String) {
        (self.first, self.last, self.proto) = (first, last, proto)
    }

    /// Nil for everything else, a number without a protocol included.
    public init?(_ text: String) {
        let parsed = text.utf8.withContiguousStorageIfAvailable { PortKey($0[...]) }
        guard let key = parsed ?? Array(text.utf8).withUnsafeBufferPointer({ PortKey($0[...]) }) else { return nil }
        self = key
    }

    init?(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) {
        guard let slash = bytes.firstIndex(of: UInt8(ascii: "/")), let (first, last) = Self.numbers(bytes[..<slash]), first > 0 else { return nil }
        let proto = bytes[bytes.index(after: slash)...]
        guard let known = ["tcp", "udp", "sctp"].first(where: { proto.elementsEqual($0.utf8) }) else { return nil }
        self.init(first, last, known)
    }

    var text: String { (first == last ? "\(first)/" : "\(first)-\(last)/") + proto }

    /// `80`, `8000-8099`
    static func numbers(_ bytes: some BidirectionalCollection<UInt8>) -> (UInt16, UInt16)? {
        guard let dash = bytes.firstIndex(of: UInt8(ascii: "-")) else { return number(bytes).map { ($0, $0) } }
        guard let first = number(bytes[..<dash]), let last = number(bytes[bytes.index(after: dash)...]), first <= last else { return nil }
        return (first, last)
    }

    private static func number(_ bytes: some BidirectionalCollection<UInt8>) -> UInt16? {
        guard (1...5).contains(bytes.count), bytes.count == 1 || bytes.first != UInt8(ascii: "0") else { return nil }
        var number = 0
        for byte in bytes {
            guard (0x30...0x39).contains(byte) else { return nil }
            number = number * 10 + Int(byte - 0x30)
        }
        return UInt16(exactly: number)
    }
}

private struct PortEntry {
    enum Value {
        case exposed
        case none
        case bindings([PortBinding])

        var list: [PortBinding]? { if case .bindings(let bindings) = self { bindings } else { nil } }
    }

    let key: PortKey
    let value: Value

    init(_ key: PortKey, _ value: Value) {
        (self.key, self.value) = (key, value)
    }

    init(_ key: PortKey, _ bindings: [PortBinding]?) {
        self.init(key, bindings.map { .bindings($0) } ?? .none)
    }

    /// Whether this is the next after a run, on both sides.
    func continues(_ other: PortEntry) -> Bool {
        guard key.proto == other.key.proto, Int(key.first) == Int(other.key.last) + 1 else { return false }
        switch (value, other.value) {
        case (.exposed, .exposed), (.none, .none): return true
        case (.bindings(let own), .bindings(let others)):
            guard own.count == others.count else { return false }
            return zip(own, others).allSatisfy { binding, before in
                guard let (first, _) = hosts(binding), let (_, last) = other.hosts(before) else { return false }
                return Int(first) == Int(last) + 1 && (binding.HostIp ?? "") == (before.HostIp ?? "")
            }
        default: return false
        }
    }

    /// The ports of the host, where each of the key has its own.
    private func hosts(_ binding: PortBinding) -> (UInt16, UInt16)? {
        guard let (first, last) = PortKey.numbers((binding.HostPort ?? "").utf8), first > 0, last - first == key.last - key.first else { return nil }
        return (first, last)
    }

    func through(_ end: PortEntry) -> PortEntry {
        let key = PortKey(self.key.first, end.key.last, self.key.proto)
        guard let bindings = value.list, let others = end.value.list else { return PortEntry(key, value) }
        return PortEntry(
            key,
            .bindings(
                zip(bindings, others).map { first, last in
                    var binding = first
                    if let (from, _) = hosts(first), let (_, to) = end.hosts(last) { binding.HostPort = "\(from)-\(to)" }
                    return binding
                }))
    }

    /// One for each port; nil where not all have a port of the host.
    var singles: [PortEntry]? {
        if key.first == key.last { return [self] }
        var starts: [UInt16] = []
        for binding in value.list ?? [] {
            guard let (first, _) = hosts(binding) else { return nil }
            starts.append(first)
        }
        return (key.first...key.last).map { port in
            let key = PortKey(port, port, key.proto)
            guard case .bindings(let bindings) = value else { return PortEntry(key, value) }
            return PortEntry(
                key,
                .bindings(
                    zip(bindings, starts).map { binding, start in
                        var binding = binding
                        binding.HostPort = "\(start + (port - self.key.first))"
                        return binding
                    }))
        }
    }
}

/// Finds objects of ports in a document.
private struct PortScanner {
    private let bytes: UnsafeBufferPointer<UInt8>
    var position = 0

    private static let names = ["PortBindings", "PortBindingsRemoved", "ExposedPorts", "Ports"]

    init(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
    }

    /// Goes to the next object that is the value of a member with one of the names.
    mutating func findPorts() -> Bool {
        while position < bytes.count {
            guard bytes[position] == UInt8(ascii: "\"") else {
                position += 1
                continue
            }
            guard let name = string() else { return false }
            // Only a name is followed by a colon.
            guard Self.names.contains(where: { name.elementsEqual($0.utf8) }), take(":"), next() == UInt8(ascii: "{") else { continue }
            return true
        }
        return false
    }

    /// Reads such an object. Nil where it is anything else.
    mutating func entries() -> [PortEntry]? {
        var entries: [PortEntry] = []
        guard take("{") else { return nil }
        if take("}") { return entries }
        repeat {
            guard let key = plainString().flatMap({ PortKey($0) }), take(":"), let value = value() else { return nil }
            entries.append(PortEntry(key, value))
        } while take(",")
        return take("}") ? entries : nil
    }

    private mutating func value() -> PortEntry.Value? {
        if take("{") { return take("}") ? .exposed : nil }
        if take("n") {
            guard position + 3 <= bytes.count, bytes[position..<position + 3].elementsEqual("ull".utf8) else { return nil }
            position += 3
            return PortEntry.Value.none
        }
        guard take("[") else { return nil }
        var bindings: [PortBinding] = []
        if take("]") { return .bindings(bindings) }
        repeat {
            guard let binding = binding() else { return nil }
            bindings.append(binding)
        } while take(",")
        return take("]") ? .bindings(bindings) : nil
    }

    private mutating func binding() -> PortBinding? {
        var binding = PortBinding()
        guard take("{") else { return nil }
        if take("}") { return binding }
        repeat {
            guard let name = plainString(), take(":"), let value = plainString() else { return nil }
            if name.elementsEqual("HostIp".utf8) {
                binding.HostIp = String(decoding: value, as: UTF8.self)
            } else if name.elementsEqual("HostPort".utf8) {
                binding.HostPort = String(decoding: value, as: UTF8.self)
            } else {
                return nil
            }
        } while take(",")
        return take("}") ? binding : nil
    }

    private mutating func next() -> UInt8? {
        while position < bytes.count, [0x20, 0x0A, 0x0D, 0x09].contains(bytes[position]) { position += 1 }
        return position < bytes.count ? bytes[position] : nil
    }

    private mutating func take(_ byte: Unicode.Scalar) -> Bool {
        guard next() == UInt8(ascii: byte) else { return false }
        position += 1
        return true
    }

    /// Without escapes, and nothing that would need one.
    private mutating func plainString() -> Slice<UnsafeBufferPointer<UInt8>>? {
        guard next() == UInt8(ascii: "\""), let string = string(), string.allSatisfy({ $0 >= 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\\") })
        else { return nil }
        return string
    }

    /// What is between the quotes, the first of which is here.
    private mutating func string() -> Slice<UnsafeBufferPointer<UInt8>>? {
        let start = position + 1
        position = start
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                return bytes[start..<(position - 1)]
            case UInt8(ascii: "\\"): position += 2
            default: position += 1
            }
        }
        position = bytes.count
        return nil
    }
}
