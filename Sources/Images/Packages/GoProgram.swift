import Linux

/// What a program of Go tells of the modules that it was made of. Its section `.go.buildinfo` has:
///
/// ```
/// "\xff Go buildinf:"  size of a pointer  flags (2: as here)  zeros up to 32
/// length (a varint), version of Go    length (a varint), modules between two times 16 bytes
/// ```
/// and the modules are lines of words with tabs between them: `mod PATH VERSION …`, `dep PATH VERSION …`, and `=> PATH VERSION …`
/// for what takes the place of the line above.
enum GoProgram {
    private static let mostSections = 512
    private static let mostBytes: UInt64 = 4 << 20
    private static let magic = [0xFF] + Array(" Go buildinf:".utf8)

    static func packages(_ file: consuming OwnedFD, source: String) throws -> [InstalledPackage] {
        guard let section = try section(".go.buildinfo", in: file), let text = modules(section) else { return [] }
        return packages(text, source: source)
    }

    static func packages(_ modules: String, source: String) -> [InstalledPackage] {
        var found: [InstalledPackage?] = []
        for line in modules.split(separator: "\n") {
            let words = line.split(separator: "\t", omittingEmptySubsequences: false)
            guard words.count >= 3, ["mod", "dep", "=>"].contains(words[0]) else { continue }
            if words[0] == "=>", !found.isEmpty { found.removeLast() }
            // A module that was built where it lies has no version.
            let version = words[2] == "(devel)" ? "" : words[2]
            found.append(InstalledPackage(.go, words[1], version, source: source))
        }
        return found.compactMap(\.self)
    }

    /// The text between the marks; nil for what is built otherwise.
    static func modules(_ section: [UInt8]) -> String? {
        guard section.count > 32, section.starts(with: magic), section[15] & 2 != 0 else { return nil }
        var rest = section[32...]
        guard sized(&rest) != nil, let modules = sized(&rest), modules.count > 33 else { return nil }
        return String(decoding: modules.dropFirst(16).dropLast(16), as: UTF8.self)
    }

    /// What a varint in front of it gives the length of.
    private static func sized(_ bytes: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        var (length, shift) = (0, 0)
        while let byte = bytes.popFirst() {
            length |= Int(byte & 0x7F) << shift
            if byte & 0x80 == 0 {
                guard length <= bytes.count else { return nil }
                defer { bytes = bytes.dropFirst(length) }
                return bytes.prefix(length)
            }
            shift += 7
            if shift > 28 { return nil }
        }
        return nil
    }

    /// A section of a 64-bit ELF file of this machine's byte order (elf(5)).
    private static func section(_ name: String, in file: borrowing OwnedFD) throws -> [UInt8]? {
        let header = try file.read(at: 0, count: 64)
        guard header.count == 64, header.starts(with: [0x7F, 0x45, 0x4C, 0x46, 2, 1]) else { return nil }
        let (offset, size) = (header.number(40, 8), header.number(58, 2))
        let (count, names) = (Int(header.number(60, 2)), Int(header.number(62, 2)))
        guard size == 64, (1...mostSections).contains(count), names < count else { return nil }
        guard let table = try bytes(at: offset, count: UInt64(count) * 64, of: file) else { return nil }
        let entry = { (index: Int) in (offset: table.number(index * 64 + 24, 8), size: table.number(index * 64 + 32, 8)) }
        guard let texts = try bytes(at: entry(names).offset, count: entry(names).size, of: file) else { return nil }
        let name = Array(name.utf8) + [0]
        for index in 0..<count {
            let start = Int(table.number(index * 64, 4))
            guard start < texts.count, texts[start...].starts(with: name) else { continue }
            return try bytes(at: entry(index).offset, count: entry(index).size, of: file)
        }
        return nil
    }

    private static func bytes(at offset: UInt64, count: UInt64, of file: borrowing OwnedFD) throws -> [UInt8]? {
        guard count <= mostBytes, offset < UInt64(Int64.max) - mostBytes else { return nil }
        let bytes = try file.read(at: Int64(offset), count: Int(count))
        return bytes.count == Int(count) ? bytes : nil
    }
}

extension [UInt8] {
    /// The lowest byte first.
    fileprivate func number(_ offset: Int, _ size: Int) -> UInt64 {
        (0..<size).reduce(0) { $0 | UInt64(self[offset + $1]) << UInt64(8 * $1) }
    }
}
