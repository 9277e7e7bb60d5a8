/// A new id in Docker's form: 64 hexadecimal digits, never all decimal at the front, so that a short id is no number.
func makeID() -> String {
    var random = SystemRandomNumberGenerator()
    while true {
        let id = (0..<4).map { _ in
            let part = String(random.next() as UInt64, radix: 16)
            return String(repeating: "0", count: 16 - part.count) + part
        }.joined()
        if id.prefix(12).contains(where: \.isLetter) { return id }
    }
}

/// The twelve digits that people see.
func shortID(_ id: String) -> String { String(id.prefix(12)) }
