/// Names of images as the user writes them, in the parts that requests want.
enum ImageName {
    /// With `:latest` when neither a tag nor a digest is there.
    static func tagged(_ name: String) -> String {
        name.contains("@") || split(name).tag != "" ? name : "\(name):latest"
    }

    /// Name and tag, or name and digest. A colon before the last slash belongs to the port of a registry.
    static func split(_ name: String) -> (name: String, tag: String) {
        let bytes = name.utf8
        if let at = bytes.lastIndex(of: UInt8(ascii: "@")) {
            return (String(name[..<at]), String(name[bytes.index(after: at)...]))
        }
        guard let colon = bytes.lastIndex(of: UInt8(ascii: ":")), !bytes[colon...].contains(UInt8(ascii: "/")) else { return (name, "") }
        return (String(name[..<colon]), String(name[bytes.index(after: colon)...]))
    }
}
