extension String {
    /// As a part of an address, a query's value for instance: of what has no meaning of its own there nothing is changed but what
    /// stands for itself (RFC 3986, section 2.3).
    /// - Parameter kept: further characters of ASCII that stay as they are
    public func percentEncoded(keeping kept: String = "") -> String {
        let (digits, kept) = (Array("0123456789ABCDEF".utf8), Array("-._~\(kept)".utf8))
        var bytes: [UInt8] = []
        for byte in utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                bytes.append(byte)
            case _ where kept.contains(byte): bytes.append(byte)
            default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
