/// What a build context can be besides a folder: something that the engine fetches itself.
package enum ContextAddress {
    /// Whether a text is an address rather than a path.
    package static func isAddress(_ text: String) -> Bool {
        ["http://", "https://", "git://", "git@", "ssh://", "github.com/"].contains { text.hasPrefix($0) }
    }
}
