import Linux

extension Filters {
    /// The bound of `until`: things made before it are meant. A moment (RFC 3339, a date, seconds since 1970) or how long
    /// ago that is, as Go writes it (`1h30m`). Nil when the filter is not given.
    func until(now: Timestamp = .now()) throws(EngineError) -> Timestamp? {
        guard let text = self["until"].first else { return nil }
        guard self["until"].count == 1 else { throw EngineError(.invalidArgument, "more than one until filter specified") }
        if let age = Self.seconds(text) { return Timestamp(seconds: now.seconds - age, nanoseconds: now.nanoseconds) }
        if let moment = Self.moment(text) { return moment }
        throw EngineError(.invalidArgument, "failed to parse \"\(text)\" as a time or duration")
    }

    /// Whether one of the `label!` filters holds, which keeps a thing.
    func excludes(labels: [String: String]) -> Bool {
        self["label!"].contains { Filters(["label": [$0]]).matches(labels: labels) }
    }

    private static func moment(_ text: String) -> Timestamp? {
        if let exact = Timestamp(rfc3339: text) { return exact }
        // Docker's shorter forms, in the zone of the engine, which is taken for UTC.
        let missing = ["", "Z", ":00Z", ":00:00Z", "T00:00:00Z"]
        for end in missing { if let moment = Timestamp(rfc3339: text + end) { return moment } }
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let seconds = parts.first.flatMap({ Int64($0) }) else { return nil }
        return Timestamp(seconds: seconds)
    }

    /// Seconds of a duration such as `24h` or `1h30m`; fractions of a second are cut off. Nil when it is none.
    private static func seconds(_ text: String) -> Int64? {
        let units: [(name: String, seconds: Double)] = [
            ("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1), ("m", 60), ("h", 3600),
        ]
        var rest = Substring(text)
        var total = 0.0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isNumber || $0 == "." }
            guard let number = Double(digits) else { return nil }
            rest = rest.dropFirst(digits.count)
            let name = rest.prefix { !$0.isNumber && $0 != "." }
            guard let unit = units.first(where: { $0.name == name }) else { return nil }
            rest = rest.dropFirst(name.count)
            total += number * unit.seconds
        }
        return Int64(exactly: total.rounded(.down)).flatMap { $0 < 1 << 40 ? $0 : nil }
    }
}
