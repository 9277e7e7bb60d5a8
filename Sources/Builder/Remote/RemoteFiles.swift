import Linux
public import SystemPackage

/// Fetches files from the network for `ADD`. The engine implements it with its own connections, proxies and certificates.
public protocol RemoteFiles: Sendable {
    /// Writes the file behind an http or https address to a new file.
    /// - Parameters:
    ///   - authorization: for the address's own host alone
    ///   - etag: of the content that is known already
    /// - Returns: what the server says of it; nil when it is still the known content, and then nothing was written.
    func fetch(_ address: String, authorization: String?, unless etag: String?, to file: FilePath) async throws -> RemoteFile?
}

public struct RemoteFile: Sendable, Equatable {
    public var etag: String?
    /// As an HTTP date.
    public var lastModified: String?

    public init(etag: String?, lastModified: String?) {
        self.etag = etag
        self.lastModified = lastModified
    }
}

/// `Wed, 21 Oct 2015 07:28:00 GMT`
enum HTTPDate {
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    static func seconds(_ text: String) -> Int64? {
        let parts = text.split(separator: " ")
        guard parts.count == 6, let month = months.firstIndex(of: String(parts[2])) else { return nil }
        let time = parts[4].split(separator: ":").compactMap { Int($0) }
        guard time.count == 3, let day = Int(parts[1]), let year = Int(parts[3]), (1970...9999).contains(year) else { return nil }
        let pad = { (number: Int) in number < 10 ? "0\(number)" : "\(number)" }
        let date = "\(year)-\(pad(month + 1))-\(pad(day))T\(pad(time[0])):\(pad(time[1])):\(pad(time[2]))Z"
        return Timestamp(rfc3339: date)?.seconds
    }
}
