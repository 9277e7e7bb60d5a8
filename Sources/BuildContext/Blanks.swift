extension Unicode.Scalar {
    /// White space as between words of a Dockerfile.
    package var isBlank: Bool { properties.isWhitespace }
}

extension String {
    /// Without the white space at both ends.
    package func trimmed() -> String {
        var rest = unicodeScalars.drop { $0.isBlank }
        while let last = rest.last, last.isBlank { rest.removeLast() }
        return String(rest)
    }
}
