import SystemPackage

/// A message from the kernel: its type and everything behind the netlink header.
public struct NetlinkReply: Sendable, Equatable {
    public let type: UInt16
    public let flags: NetlinkFlags
    public let sequence: UInt32
    public let payload: [UInt8]
    /// Whom it is for; in news of a change, who has made it.
    public var port: UInt32 = 0

    static let error: UInt16 = 2
    static let done: UInt16 = 3

    /// Takes apart what one `recv` returned. Refuses lengths that do not fit.
    static func parse(_ bytes: [UInt8]) throws(SystemError) -> [NetlinkReply] {
        var replies: [NetlinkReply] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            guard rest.count >= NetlinkMessage.headerSize else { throw malformed }
            let start = rest.startIndex
            let length = Int(UInt32(nativeBytes: rest[start..<start + 4]))
            guard length >= NetlinkMessage.headerSize, length <= rest.count else { throw malformed }
            replies.append(
                NetlinkReply(
                    type: UInt16(nativeBytes: rest[start + 4..<start + 6]),
                    flags: NetlinkFlags(rawValue: UInt16(nativeBytes: rest[start + 6..<start + 8])),
                    sequence: UInt32(nativeBytes: rest[start + 8..<start + 12]),
                    payload: Array(rest[start + NetlinkMessage.headerSize..<start + length]),
                    port: UInt32(nativeBytes: rest[start + 12..<start + 16])))
            rest = rest.dropFirst(aligned(length))
        }
        return replies
    }

    /// The attributes behind the family's header, which has `headerSize` bytes.
    public func attributes(after headerSize: Int) throws(SystemError) -> NetlinkAttributes {
        guard payload.count >= headerSize else { throw malformed }
        return try NetlinkAttributes(payload[headerSize...])
    }

    /// What an error message says; nil for an acknowledgement.
    func failure(purpose: String) throws(SystemError) -> SystemError? {
        guard payload.count >= 4 else { throw malformed }
        let code = Int32(nativeBytes: payload[0..<4])
        if code == 0 { return nil }
        let explanation = try self.explanation()
        return SystemError(
            errno: Errno(rawValue: 0 &- code), call: "netlink", subject: explanation.map { "\(purpose) (\($0))" } ?? purpose
        )
    }

    /// The text that newer kernels add: error code, the request (in full or its header only), then attributes.
    private func explanation() throws(SystemError) -> String? {
        guard type == Self.error, flags.contains(.extendedError), payload.count >= 4 + NetlinkMessage.headerSize else {
            return nil
        }
        let requestLength = Int(UInt32(nativeBytes: payload[4..<8]))
        let kept = flags.contains(.capped) ? NetlinkMessage.headerSize : aligned(requestLength)
        guard kept >= NetlinkMessage.headerSize, payload.count >= 4 + kept else { throw malformed }
        return try NetlinkAttributes(payload[(4 + kept)...]).string(1)
    }
}

/// Attributes by their number, each the last one of its number.
public struct NetlinkAttributes: Sendable {
    private var values: [(type: UInt16, data: ArraySlice<UInt8>)] = []

    /// Refuses lengths that do not fit.
    public init(_ bytes: ArraySlice<UInt8>) throws(SystemError) {
        var rest = bytes
        while rest.count >= 4 {
            let start = rest.startIndex
            let length = Int(UInt16(nativeBytes: rest[start..<start + 2]))
            guard length >= 4, length <= rest.count else { throw malformed }
            // The two upper bits say "nested" and "network byte order".
            let type = UInt16(nativeBytes: rest[start + 2..<start + 4]) & 0x3fff
            values.append((type, rest[start + 4..<start + length]))
            rest = rest.dropFirst(aligned(length))
        }
        guard rest.isEmpty else { throw malformed }
    }

    public func bytes(_ type: UInt16) -> ArraySlice<UInt8>? {
        values.last { $0.type == type }?.data
    }

    /// Every attribute of that number, in order: the elements of a list.
    public func all(_ type: UInt16) -> [ArraySlice<UInt8>] {
        values.filter { $0.type == type }.map(\.data)
    }

    public func string(_ type: UInt16) -> String? {
        bytes(type).map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    public func integer<T: FixedWidthInteger>(_ type: UInt16, as: T.Type = T.self) -> T? {
        guard let bytes = bytes(type), bytes.count == MemoryLayout<T>.size else { return nil }
        return T(nativeBytes: bytes)
    }

    public func bigEndian<T: FixedWidthInteger>(_ type: UInt16, as: T.Type = T.self) -> T? {
        integer(type, as: T.self).map(T.init(bigEndian:))
    }

    public func nested(_ type: UInt16) throws(SystemError) -> NetlinkAttributes? {
        guard let bytes = bytes(type) else { return nil }
        return try NetlinkAttributes(bytes)
    }
}

private func aligned(_ length: Int) -> Int { (length + 3) & ~3 }

private var malformed: SystemError { SystemError(errno: .badMessage, call: "netlink") }
