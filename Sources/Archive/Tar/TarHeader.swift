import Linux

/// The 512 bytes before each entry. Fields: name 0+100, mode 100+8, uid 108+8, gid 116+8, size 124+12, mtime 136+12,
/// checksum 148+8, type 156, link 157+100, magic 257+8, user 265+32, group 297+32, major 329+8, minor 337+8, prefix 345+155.
enum TarHeader {
    static let size = 512

    /// Throws unless the sum of all bytes, the checksum itself taken as spaces, is what the header says.
    static func verify(_ block: UnsafeRawBufferPointer) throws {
        let stated = try number(block, 148, 8)
        var (sum, signedSum): (Int64, Int64) = (8 * 32, 8 * 32)
        var index = 0
        // A plain loop: it runs for each byte of each header of each layer.
        while index < size {
            if index == 148 { index = 156 }
            sum += Int64(block[index])
            signedSum += Int64(Int8(bitPattern: block[index]))
            index += 1
        }
        // Some old programs added up signed characters.
        guard stated == sum || stated == signedSum else { throw ArchiveError.malformed("wrong checksum in a tar header") }
    }

    static func isZero(_ block: UnsafeRawBufferPointer) -> Bool { block[0] == 0 && block.allSatisfy { $0 == 0 } }

    static func isGNU(_ block: UnsafeRawBufferPointer) -> Bool { block[257..<265].elementsEqual("ustar  \0".utf8) }

    static func isPOSIX(_ block: UnsafeRawBufferPointer) -> Bool { block[257..<262].elementsEqual("ustar".utf8) }

    /// Text up to the first zero byte.
    static func text(_ block: UnsafeRawBufferPointer, _ start: Int, _ length: Int) -> [UInt8] {
        Array(block[start..<(start + length)].prefix { $0 != 0 })
    }

    /// Octal digits with spaces or zeros around, or a big-endian number marked by the first bit.
    static func number(_ block: UnsafeRawBufferPointer, _ start: Int, _ length: Int) throws -> Int64 {
        let field = block[start..<(start + length)]
        if let first = field.first, first & 0x80 != 0 { return try binaryNumber(field, negative: first & 0x40 != 0) }
        var value: Int64 = 0
        let digits = field.drop { $0 == UInt8(ascii: " ") }.prefix { $0 != 0 && $0 != UInt8(ascii: " ") }
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(digit), value < 1 << 60 else {
                throw ArchiveError.malformed("not a number in a tar header")
            }
            value = value << 3 | Int64(digit - UInt8(ascii: "0"))
        }
        return value
    }

    private static func binaryNumber(_ field: Slice<UnsafeRawBufferPointer>, negative: Bool) throws -> Int64 {
        var value: Int64 = negative ? -1 : 0
        for (index, byte) in field.enumerated() {
            let digit = index == 0 ? (negative ? byte : byte & 0x7f) : byte
            let fits = negative ? value >= -(1 << 54) : value < 1 << 54
            guard fits else { throw ArchiveError.malformed("number too large in a tar header") }
            value = index == 0 && negative ? Int64(Int8(bitPattern: digit)) : value << 8 | Int64(digit)
        }
        return value
    }

    /// Users and groups are 32 bits wide; what does not fit must not become another one.
    static func owner(_ value: Int64) throws -> UInt32 {
        guard let owner = UInt32(exactly: value), owner != .max else {
            throw ArchiveError.malformed("owner \(value) is out of range")
        }
        return owner
    }

    /// Whether an entry of this type says something about the archive and is no file: GNU's volume label and list of long
    /// names, Solaris's extended header.
    static func isRemark(_ type: UInt8) -> Bool { "VNX".utf8.contains(type) }

    /// The kind of a file type letter; nil for those that are no files, and for unknown ones.
    static func kind(_ type: UInt8) -> TarEntry.Kind? {
        switch type {
        case 0, UInt8(ascii: "0"), UInt8(ascii: "7"), UInt8(ascii: "S"): .file
        case UInt8(ascii: "1"): .hardLink
        case UInt8(ascii: "2"): .symbolicLink
        case UInt8(ascii: "3"): .characterDevice
        case UInt8(ascii: "4"): .blockDevice
        // `D` is how GNU's incremental archives write a directory; a list of its names is the content.
        case UInt8(ascii: "5"), UInt8(ascii: "D"): .directory
        case UInt8(ascii: "6"): .fifo
        default: nil
        }
    }

    static func type(_ kind: TarEntry.Kind) -> UInt8 {
        switch kind {
        case .file: UInt8(ascii: "0")
        case .hardLink: UInt8(ascii: "1")
        case .symbolicLink: UInt8(ascii: "2")
        case .characterDevice: UInt8(ascii: "3")
        case .blockDevice: UInt8(ascii: "4")
        case .directory: UInt8(ascii: "5")
        case .fifo: UInt8(ascii: "6")
        }
    }
}
