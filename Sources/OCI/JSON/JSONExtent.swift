extension JSONValue {
    /// Where the value of a member of nested objects stands in a document, found by passing over everything else, which
    /// takes a small part of the time of reading it. The path is of plain names, outermost first.
    ///
    /// In a document that is valid this is the value that `parse` reads. Of others it says nothing, not even that they are
    /// not valid. nil where there is no such member, or where that is in doubt.
    public static func extent(of path: [String], in bytes: [UInt8]) -> Range<Int>? {
        bytes.withUnsafeBufferPointer { buffer in
            var scanner = JSONScanner(bytes: buffer)
            for name in path where !scanner.enter(name) { return nil }
            return scanner.value()
        }
    }
}

/// Passes over values without looking at what is in them.
private struct JSONScanner {
    let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0

    init(bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
    }

    /// From the start of an object to the start of a member's value.
    mutating func enter(_ name: String) -> Bool {
        guard next() == UInt8(ascii: "{") else { return false }
        position += 1
        while next() == UInt8(ascii: "\"") {
            let start = position
            guard string() else { return false }
            let found = bytes[(start + 1)..<(position - 1)].elementsEqual(name.utf8)
            guard next() == UInt8(ascii: ":") else { return false }
            position += 1
            if found { return true }
            guard value() != nil, next() == UInt8(ascii: ",") else { return false }
            position += 1
        }
        return false
    }

    mutating func value() -> Range<Int>? {
        guard let first = next() else { return nil }
        let start = position
        var depth = 0
        if first == UInt8(ascii: "\"") { return string() ? start..<position : nil }
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                guard string() else { return nil }
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                // The end of what stands around a number or a word.
                if depth == 0 { return start < position ? start..<position : nil }
                depth -= 1
                if depth == 0 {
                    position += 1
                    return start..<position
                }
            case UInt8(ascii: ","), 0x20, 0x0A, 0x0D, 0x09:
                if depth == 0 { return start < position ? start..<position : nil }
            default: break
            }
            position += 1
        }
        return nil
    }

    /// Behind the closing quote.
    private mutating func string() -> Bool {
        position += 1
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                return true
            case UInt8(ascii: "\\"): position += 2
            default: position += 1
            }
        }
        return false
    }

    /// The next byte that is not space.
    private mutating func next() -> UInt8? {
        while position < bytes.count {
            let byte = bytes[position]
            if byte != 0x20, byte != 0x0A, byte != 0x0D, byte != 0x09 { return byte }
            position += 1
        }
        return nil
    }
}
