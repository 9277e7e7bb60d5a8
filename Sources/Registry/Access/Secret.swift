/// A password or a token. It cannot be printed, logged or encoded by accident: whoever needs the text has to ask for it.
public struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let text: String

    public init(_ text: String) { self.text = text }

    public var description: String { "(secret)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }

    /// The text itself, for the one place that sends it.
    public func reveal() -> String { text }
}
