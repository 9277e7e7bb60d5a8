import DockerAPI

/// How a container is probed: a health configuration with everything decided.
struct HealthCheck: Sendable, Equatable {
    enum Kind: Sendable, Equatable {
        /// Run in the container; 0 is healthy.
        case command([String])
        /// Asked for in the container's network; a status below 400 is healthy.
        case http(HTTPProbe)
        /// Connected to in the container's network.
        case tcp(ProbeTarget)
    }

    let kind: Kind
    let interval: Duration
    let timeout: Duration
    let startPeriod: Duration
    let startInterval: Duration
    /// Failures in a row that make a container unhealthy.
    let retries: Int

    /// nil when nothing is to be probed. `shell` is the image's, for commands that are one text.
    init?(_ config: HealthConfig?, shell: [String]?) throws(EngineError) {
        guard let config, let kind = config.Test?.first, kind != "NONE" else { return nil }
        try Self.check(config)
        let rest = Array((config.Test ?? []).dropFirst())
        switch kind {
        case "CMD": self.kind = .command(rest)
        case "CMD-SHELL": self.kind = .command((shell ?? ["/bin/sh", "-c"]) + [rest.first ?? ""])
        case "HTTP": self.kind = .http(try HTTPProbe(rest.first ?? ""))
        case "TCP": self.kind = .tcp(try ProbeTarget(rest.first ?? ""))
        default:
            throw EngineError(.invalidArgument, "Unknown healthcheck type '\(kind)' (expected 'CMD')")
        }
        guard !rest.isEmpty, rest.first?.isEmpty == false else {
            throw EngineError(.invalidArgument, "the health check has no command")
        }
        func duration(_ nanoseconds: Int64?, _ otherwise: Duration) -> Duration {
            guard let nanoseconds, nanoseconds > 0 else { return otherwise }
            return .nanoseconds(nanoseconds)
        }
        interval = duration(config.Interval, .seconds(30))
        timeout = duration(config.Timeout, .seconds(30))
        startPeriod = duration(config.StartPeriod, .zero)
        startInterval = duration(config.StartInterval, .seconds(5))
        retries = (config.Retries ?? 0) > 0 ? config.Retries ?? 3 : 3
    }

    private static func check(_ config: HealthConfig) throws(EngineError) {
        let durations = [
            ("Interval", config.Interval), ("Timeout", config.Timeout), ("StartPeriod", config.StartPeriod),
            ("StartInterval", config.StartInterval),
        ]
        for (name, value) in durations where value != nil && value != 0 && (value ?? 0) < 1_000_000 {
            throw EngineError(.invalidArgument, "\(name) in Healthcheck cannot be less than 1ms")
        }
        if (config.Retries ?? 0) < 0 { throw EngineError(.invalidArgument, "Retries in Healthcheck cannot be negative") }
    }

    /// How long to wait for the next probe of a container that has been up so long.
    func pause(status: HealthState.Status, uptime: Duration) -> Duration {
        status == .starting && uptime < startPeriod ? startInterval : interval
    }
}

extension HealthConfig {
    /// What the request leaves open, the image decides, each setting for itself.
    func merged(over image: HealthConfig) -> HealthConfig {
        var config = self
        func missing(_ value: Int64?) -> Bool { (value ?? 0) == 0 }
        if (Test ?? []).isEmpty { config.Test = image.Test }
        if missing(Interval) { config.Interval = image.Interval }
        if missing(Timeout) { config.Timeout = image.Timeout }
        if missing(StartPeriod) { config.StartPeriod = image.StartPeriod }
        if missing(StartInterval) { config.StartInterval = image.StartInterval }
        if (Retries ?? 0) == 0 { config.Retries = image.Retries }
        return config
    }
}
