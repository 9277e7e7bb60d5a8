/// How long a restart policy waits: 100 ms, twice as long each time, at most a minute; from the start again after a run
/// of ten seconds.
struct RestartBackOff: Sendable {
    private var next = Duration.milliseconds(100)

    mutating func delay(afterRunOf seconds: Int64) -> Duration {
        if seconds >= 10 { next = .milliseconds(100) }
        let delay = next
        next = min(next * 2, .seconds(60))
        return delay
    }
}
