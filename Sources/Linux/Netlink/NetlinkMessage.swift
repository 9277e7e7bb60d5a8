/// Builds one netlink message: header, the family's own header, then attributes, each aligned to four bytes.
///
/// ```
/// u32 length | u16 type | u16 flags | u32 sequence | u32 port | family header | { u16 length | u16 type | data | pad } ...
/// ```
/// Numbers are in the byte order of the machine, but for nf_tables, whose attributes are big endian (`put(bigEndian:)`).
public struct NetlinkMessage: Sendable {
    static let headerSize = 16

    /// The message as it goes to the kernel, sequence number apart.
    public private(set) var bytes: [UInt8]
    /// What is asked, as error messages call it: `create link vsk0`.
    public let purpose: String
    /// False when an attribute was longer than its length field can say; such a message is never sent.
    private(set) var isValid = true

    public init(type: UInt16, flags: NetlinkFlags, purpose: String, familyHeader: [UInt8]) {
        self.purpose = purpose
        bytes = [0, 0, 0, 0]
        append(type)
        append(flags.rawValue)
        bytes += [0, 0, 0, 0, 0, 0, 0, 0]
        bytes += familyHeader
        align()
        writeLength()
    }

    public var type: UInt16 { UInt16(nativeBytes: bytes[4..<6]) }
    public var flags: NetlinkFlags { NetlinkFlags(rawValue: UInt16(nativeBytes: bytes[6..<8])) }

    public mutating func put(_ attribute: UInt16, _ data: some Collection<UInt8>) {
        let length = 4 + data.count
        guard let short = UInt16(exactly: length) else {
            isValid = false
            return
        }
        append(short)
        append(attribute)
        bytes += data
        align()
        writeLength()
    }

    public mutating func put(_ attribute: UInt16, _ value: some FixedWidthInteger) {
        put(attribute, value.nativeBytes)
    }

    public mutating func put(_ attribute: UInt16, bigEndian value: some FixedWidthInteger) {
        put(attribute, value.bigEndianBytes)
    }

    /// A string with the zero byte at its end that the kernel wants.
    public mutating func put(_ attribute: UInt16, _ text: String) {
        put(attribute, Array(text.utf8) + [0])
    }

    /// An attribute that holds attributes (or, for veth, a whole header and attributes).
    public mutating func nest(_ attribute: UInt16, _ body: (inout NetlinkMessage) -> Void) {
        let start = bytes.count
        append(UInt16(4))
        append(attribute | Self.nested)
        body(&self)
        guard let length = UInt16(exactly: bytes.count - start) else {
            isValid = false
            return
        }
        bytes.replaceSubrange(start..<start + 2, with: length.nativeBytes)
        writeLength()
    }

    /// Bytes that are no attribute: a header within a nest.
    mutating func append(raw: [UInt8]) {
        bytes += raw
        align()
        writeLength()
    }

    /// The message with the fields that the socket decides.
    func bytes(sequence: UInt32, adding flags: NetlinkFlags) -> [UInt8] {
        var result = bytes
        result.replaceSubrange(6..<8, with: self.flags.union(flags).rawValue.nativeBytes)
        result.replaceSubrange(8..<12, with: sequence.nativeBytes)
        return result
    }

    private static let nested: UInt16 = 0x8000

    private mutating func append(_ value: UInt16) {
        bytes += value.nativeBytes
    }

    private mutating func align() {
        while bytes.count % 4 != 0 { bytes.append(0) }
    }

    private mutating func writeLength() {
        // A message beyond 4 GiB is impossible: its attributes have 16 bit lengths and nobody has so many.
        bytes.replaceSubrange(0..<4, with: UInt32(truncatingIfNeeded: bytes.count).nativeBytes)
    }
}

/// The flags of a request (netlink(7)); the bits from 0x100 on mean other things for `get` than for `new`.
public struct NetlinkFlags: OptionSet, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let request = NetlinkFlags(rawValue: 0x01)
    public static let multi = NetlinkFlags(rawValue: 0x02)
    public static let acknowledge = NetlinkFlags(rawValue: 0x04)
    public static let dumpInterrupted = NetlinkFlags(rawValue: 0x10)
    public static let dump = NetlinkFlags(rawValue: 0x300)
    public static let replace = NetlinkFlags(rawValue: 0x100)
    public static let exclusive = NetlinkFlags(rawValue: 0x200)
    public static let create = NetlinkFlags(rawValue: 0x400)
    public static let append = NetlinkFlags(rawValue: 0x800)
    /// In an error: the request is not repeated in full.
    static let capped = NetlinkFlags(rawValue: 0x100)
    /// In an error: attributes with an explanation follow.
    static let extendedError = NetlinkFlags(rawValue: 0x200)
}

extension FixedWidthInteger {
    /// The bytes in the order of the machine.
    var nativeBytes: [UInt8] { withUnsafeBytes(of: self) { Array($0) } }
    /// The bytes in network order.
    var bigEndianBytes: [UInt8] { withUnsafeBytes(of: bigEndian) { Array($0) } }

    /// From as many bytes as the type has, in the order of the machine. The caller has checked the count.
    init(nativeBytes bytes: ArraySlice<UInt8>) {
        var value = Self.zero
        withUnsafeMutableBytes(of: &value) { $0.copyBytes(from: bytes.prefix(MemoryLayout<Self>.size)) }
        self = value
    }
}
