import DockerAPI
import EngineClient
import FoundationEssentials
import Linux

extension Command {
    static func logs() -> Command {
        let follow = Flag<Bool>.toggle("follow", short: "f", "Go on with new output")
        let tail = Flag<String>.text("tail", short: "n", initially: "all", "Number of lines from the end")
        let since = Flag<String>.text("since", "Show what is newer than a time or a duration such as 10m")
        let until = Flag<String>.text("until", "Show what is older than a time or a duration such as 10m")
        let timestamps = Flag<Bool>.toggle("timestamps", short: "t", "Show when each line was written")
        let details = Flag<Bool>.toggle("details", "Show extra attributes")
        return Command(
            name: "logs", usage: "[OPTIONS] CONTAINER", summary: "Show what a container has written",
            arguments: .exactly(1), flags: [follow, tail, since, until, timestamps, details]
        ) { call in
            let container = try await ContainerLookup(call.program.engine).inspect(call.arguments[0])
            var query = [("stdout", "1"), ("stderr", "1"), ("tail", call[tail])]
            if call[follow] { query.append(("follow", "1")) }
            if call[timestamps] { query.append(("timestamps", "1")) }
            if call[details] { query.append(("details", "1")) }
            if !call[since].isEmpty { query.append(("since", try Moment.query(call[since]))) }
            if !call[until].isEmpty { query.append(("until", try Moment.query(call[until]))) }
            let request = EngineRequest(
                .get, "/containers/\(EngineRequest.escaped(container.Id ?? call.arguments[0]))/logs", query: query)
            let hasTerminal = container.Config?.Tty == true
            try await call.program.engine.open(request) { response in
                guard hasTerminal else { return try await ContainerStreams.demultiplex(response) }
                while let bytes = try await response.next() { try await ContainerStreams.write(bytes, .output) }
            }
            return 0
        }
    }
}

/// A moment as the user gives it: a time, seconds since 1970, or a duration before now.
enum Moment {
    /// Seconds with nanoseconds, the form that the engine takes.
    static func query(_ text: String, now: Date = Date()) throws -> String {
        if let seconds = Double(text), seconds >= 0 { return text }
        // A whole time keeps every digit: the line with exactly that stamp belongs to the answer.
        if let moment = Timestamp(rfc3339: text) ?? Timestamp(rfc3339: text + "Z") {
            let digits = String(moment.nanoseconds)
            return "\(moment.seconds)." + String(repeating: "0", count: 9 - digits.count) + digits
        }
        if let duration = try? nanoseconds(text) {  // Whatever is no duration is tried as a time.
            let moment = now.timeIntervalSince1970 - Double(duration) / 1e9
            return HumanText.decimal(moment, places: 6) + "000"
        }
        guard let moment = HumanText.unixTime(completed(text)) else {
            throw CommandFailure("invalid value for \"since\": failed to parse value as time or duration: \"\(text)\"")
        }
        return HumanText.decimal(moment - offset(of: text), places: 6) + "000"
    }

    /// A date or a time without seconds is the beginning of what it names.
    private static func completed(_ text: String) -> String {
        let full = "2000-01-01T00:00:00"
        let main = text.prefix { $0 != "Z" && $0 != "+" }
        return main.count < full.count && main.count >= 10 ? String(main + full.dropFirst(main.count)) : String(main)
    }

    /// The seconds that a time with `+02:00` or `-05:00` is ahead.
    private static func offset(of text: String) -> Double {
        guard text.count > 19, let sign = text.dropFirst(19).firstIndex(where: { $0 == "+" || $0 == "-" }) else { return 0 }
        let parts = text[text.index(after: sign)...].split(separator: ":").compactMap { Double($0) }
        let seconds = (parts.first ?? 0) * 3600 + (parts.count > 1 ? parts[1] * 60 : 0)
        return text[sign] == "-" ? -seconds : seconds
    }
}
