import Archive
import Linux

/// Passes an archive on with another first name in every path: an archive of `/etc/hosts` from a container becomes one
/// of `copy`. A nil name leaves the first one out.
enum TarRenaming {
    static func copy(_ source: any ByteSource, to sink: any ByteSink, firstName: [UInt8]?) throws {
        let reader = TarReader(source)
        let writer = TarWriter(sink)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
        defer { buffer.deallocate() }
        while var entry = try reader.next() {
            entry.path = renamed(entry.path, firstName)
            if entry.kind == .hardLink { entry.linkTarget = renamed(entry.linkTarget, firstName) }
            entry.segments = nil
            if entry.path.isEmpty { continue }
            try writer.begin(entry)
            guard entry.kind == .file else { continue }
            while case let count = try reader.read(into: buffer), count > 0 {
                try writer.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            }
        }
        try writer.finish()
    }

    static func renamed(_ path: [UInt8], _ firstName: [UInt8]?) -> [UInt8] {
        let slash = UInt8(ascii: "/")
        let rest = path.drop { $0 == slash }.drop { $0 != slash }
        guard let firstName else { return Array(rest.drop { $0 == slash }) }
        return firstName + rest
    }
}
