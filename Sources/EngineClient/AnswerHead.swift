/// Status and headers of an answer of HTTP/1.1 (RFC 9112, section 4).
struct AnswerHead: Sendable, Equatable {
    let status: Int
    private let headers: [(name: String, value: String)]

    init(status: Int, headers: [(name: String, value: String)]) {
        self.status = status
        self.headers = headers
    }

    /// Reads everything before the empty line; nil when it is not HTTP.
    init?(_ text: String) {
        let lines = text.split(separator: "\r\n")
        let words = (lines.first ?? "").split(separator: " ", maxSplits: 2)
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]), (100...999).contains(status) else { return nil }
        var headers: [(name: String, value: String)] = []
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { return nil }
            var value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            while value.last == " " || value.last == "\t" { value.removeLast() }
            headers.append((String(line[..<colon]), String(value)))
        }
        self.init(status: status, headers: headers)
    }

    /// The first header of that name, whose case does not matter.
    func first(_ name: String) -> String? {
        let name = name.lowercased()
        return headers.first { $0.name.lowercased() == name }?.value
    }

    static func == (left: AnswerHead, right: AnswerHead) -> Bool {
        left.status == right.status && left.headers.elementsEqual(right.headers, by: ==)
    }
}
