/// How long the host is left alone before it is looked at again, since changes come in numbers. While they go on the pause grows, so
/// that looking costs little however much there is to see; when they stop it shrinks again.
struct ChangePause: Sendable {
    static let shortest = Duration.milliseconds(200)
    static let longest = Duration.seconds(5)

    private(set) var length = shortest

    /// After a pause.
    mutating func end(hearingMore: Bool) {
        length = hearingMore ? min(length * 2, Self.longest) : max(length / 2, Self.shortest)
    }

    /// So long nothing was heard after a look.
    mutating func rest(_ time: Duration) {
        var left = time
        while left >= length, length > Self.shortest {
            left -= length
            length = max(length / 2, Self.shortest)
        }
    }
}
