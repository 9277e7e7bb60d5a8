/// The inside of a JSON string as Docker's log driver writes it: what is dangerous in HTML and JavaScript is escaped, and
/// each byte that is no UTF-8 becomes U+FFFD.
enum JSONText {
    static func append(_ text: UnsafeRawBufferPointer, to buffer: inout [UInt8]) {
        var plainStart = 0
        var index = 0

        func flushPlain(_ buffer: inout [UInt8]) {
            if plainStart < index { buffer.append(contentsOf: text[plainStart..<index]) }
        }

        while index < text.count {
            let byte = text[index]
            if byte < 0x80 {
                if isPlain(byte) {
                    index += 1
                    continue
                }
                flushPlain(&buffer)
                appendEscaped(byte, to: &buffer)
                index += 1
                plainStart = index
                continue
            }
            let length = sequenceLength(text, at: index)
            // U+2028 and U+2029 end lines in JavaScript.
            let isLineEnd = length == 3 && byte == 0xE2 && text[index + 1] == 0x80 && text[index + 2] & 0xFE == 0xA8
            if length > 0 && !isLineEnd {
                index += length
                continue
            }
            flushPlain(&buffer)
            if isLineEnd {
                buffer.append(contentsOf: text[index + 2] == 0xA8 ? "\\u2028".utf8 : "\\u2029".utf8)
            } else {
                buffer.append(contentsOf: "\\ufffd".utf8)
            }
            index += max(length, 1)
            plainStart = index
        }
        flushPlain(&buffer)
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case 0..<0x20, UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "&"): false
        default: true
        }
    }

    private static func appendEscaped(_ byte: UInt8, to buffer: inout [UInt8]) {
        buffer.append(UInt8(ascii: "\\"))
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): buffer.append(byte)
        case UInt8(ascii: "\n"): buffer.append(UInt8(ascii: "n"))
        case UInt8(ascii: "\r"): buffer.append(UInt8(ascii: "r"))
        default:
            let digit = { (value: UInt8) in value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10 }
            buffer.append(contentsOf: "u00".utf8)
            buffer.append(digit(byte >> 4))
            buffer.append(digit(byte & 0xF))
        }
    }

    /// The length of the well-formed sequence that begins here, 0 when there is none (Unicode, table 3-7).
    private static func sequenceLength(_ text: UnsafeRawBufferPointer, at index: Int) -> Int {
        let second: ClosedRange<UInt8>
        let length: Int
        switch text[index] {
        case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: return 0
        }
        guard index + length <= text.count, second.contains(text[index + 1]) else { return 0 }
        for offset in 2..<max(length, 2) where text[index + offset] & 0xC0 != 0x80 { return 0 }
        return length
    }
}
