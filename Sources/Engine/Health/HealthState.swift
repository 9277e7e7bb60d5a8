import DockerAPI

/// What the probes of a container have shown so far. A small machine without I/O: `record` is its only step.
///
/// ```
/// starting ─ success ─▶ healthy ⇄ unhealthy ◀─ so many failures in a row ─ starting
/// ```
struct HealthState: Codable, Sendable, Equatable {
    enum Status: String, Codable, Sendable {
        case starting
        case healthy
        case unhealthy
    }

    private(set) var status = Status.starting
    private(set) var failingStreak = 0
    /// The newest last, at most five.
    private(set) var results: [HealthcheckResult] = []

    private static let mostResults = 5

    /// Takes note of a probe; true when that changed the status. Failures of a container that has never been healthy do not
    /// count while it is in its start period.
    mutating func record(_ result: HealthcheckResult, retries: Int, inStartPeriod: Bool) -> Bool {
        results = results.suffix(Self.mostResults - 1) + [result]
        let before = status
        if result.ExitCode == 0 {
            failingStreak = 0
            status = .healthy
        } else if !(status == .starting && inStartPeriod) {
            failingStreak += 1
            if failingStreak >= retries { status = .unhealthy }
        }
        return status != before
    }

    /// Nobody probes any more. Docker calls such a container unhealthy, and clients rely on it.
    mutating func end() {
        status = .unhealthy
    }

    /// As `inspect` shows it.
    var api: Health {
        var health = Health()
        health.Status = status.rawValue
        health.FailingStreak = failingStreak
        health.Log = results
        return health
    }

    /// As `ps` shows it.
    var text: String {
        status == .starting ? "health: starting" : status.rawValue
    }
}
