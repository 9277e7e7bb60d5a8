import NIOCore

/// Finds the key sequence that ends an attach without ending the container (`ctrl-p,ctrl-q`) in what a client types.
/// Keys that begin a sequence and turn out to be none are passed on.
struct DetachKeys: Sendable {
    private let sequence: [UInt8]
    private var matched = 0

    static let standard: [UInt8] = [16, 17]

    /// `ctrl-p,ctrl-q`, single characters among them; nil or empty is the standard.
    init(_ text: String?) throws(EngineError) {
        guard let text, !text.isEmpty else {
            sequence = Self.standard
            return
        }
        var sequence: [UInt8] = []
        for key in text.split(separator: ",", omittingEmptySubsequences: false) {
            let bytes = Array(key.lowercased().utf8)
            if key.utf8.count == 1, let byte = key.utf8.first {
                sequence.append(byte)
            } else if key.lowercased().hasPrefix("ctrl-"), bytes.count == 6, (64...95).contains(bytes[5] & 0xDF) || bytes[5] == 64 {
                sequence.append(bytes[5] & 0x1F)
            } else {
                throw EngineError(.invalidArgument, "Invalid detach keys (\(text)) provided")
            }
        }
        self.sequence = sequence
    }

    /// What of the input goes to the container, and whether the sequence is complete.
    mutating func filter(_ input: ByteBuffer) -> (passed: ByteBuffer, detached: Bool) {
        var passed = ByteBuffer()
        for byte in input.readableBytesView {
            if byte == sequence[matched] {
                matched += 1
                if matched == sequence.count { return (passed, true) }
                continue
            }
            if matched > 0 {
                passed.writeBytes(sequence[..<matched])
                matched = byte == sequence[0] ? 1 : 0
                if matched == 1 { continue }
            }
            passed.writeInteger(byte)
        }
        return (passed, false)
    }
}
