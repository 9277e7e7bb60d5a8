/// Waits between tries of the same thing: longer each time, with some chance in it so that many clients do not come back
/// together, and as long as the server asks for, within bounds.
public struct BackOff: Sendable {
    private let attempts: Int
    private let first: Duration
    private let longest: Duration
    private var failures = 0

    public init(_ configuration: RegistryConfiguration) {
        attempts = configuration.attempts
        first = configuration.firstDelay
        longest = configuration.longestDelay
    }

    /// Things went well for a while: the next failure is a first one.
    public mutating func reset() { failures = 0 }

    /// Returns after the wait; throws the error when it was tried often enough.
    public mutating func next(after error: any Error, retryAfter: Duration? = nil) async throws {
        failures += 1
        guard failures < attempts else { throw error }
        let doubled = first * (1 << min(failures - 1, 16))
        let wait = max(min(doubled, longest) * Double.random(in: 0.5...1), retryAfter ?? .zero)
        try await Task.sleep(for: min(wait, longest))
    }
}
