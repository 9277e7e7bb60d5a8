import CLinux
import Glibc
import SystemPackage

/// What the kernel has said lately.
public enum KernelLog {
    private static let mostRecords = 20_000

    /// The texts of all records that it still has, the oldest first.
    public static func records() throws(SystemError) -> [String] {
        let file = try OwnedFD.open("/dev/kmsg", [.readOnly, .nonBlocking])
        var records: [String] = []
        while records.count < mostRecords {
            do throws(SystemError) {
                // One record at a time: `6,339,5140900,-;text`, and lines with fields below.
                let bytes = try withUnsafeTemporaryAllocation(byteCount: 8192, alignment: 1) { buffer throws(SystemError) in
                    let count = try file.read(into: buffer)
                    return Array(buffer[..<count])
                }
                guard !bytes.isEmpty else { break }
                let line = bytes.prefix { $0 != UInt8(ascii: "\n") }
                if let mark = line.firstIndex(of: UInt8(ascii: ";")) { records.append(String(decoding: line[(mark + 1)...], as: UTF8.self)) }
            } catch {
                switch error.errno {
                case .brokenPipe: continue  // Overwritten while we read: the next read goes on behind it.
                case .wouldBlock, .resourceTemporarilyUnavailable: return records
                default: throw error
                }
            }
        }
        return records
    }
}
