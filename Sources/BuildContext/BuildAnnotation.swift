/// An annotation that a build gives its image: `[TYPE[PLATFORM],…:]KEY=VALUE` of `--annotation`, or the option
/// `annotation[-TYPE][[PLATFORM]].KEY=VALUE` of an output.
package struct BuildAnnotation: Sendable, Equatable {
    /// What it is written into.
    package enum Place: String, Sendable {
        case manifest, index
        case manifestDescriptor = "manifest-descriptor"
        case indexDescriptor = "index-descriptor"

        package var isOfIndex: Bool { self == .index || self == .indexDescriptor }
    }

    package struct Failure: Error, Equatable, CustomStringConvertible {
        package let description: String
    }

    package var place: Place
    /// As it is written; nil for the image's own.
    package var platform: String?
    package var key: String
    package var value: String

    /// The value of `--annotation`; one text may mean several places.
    package static func parse(_ text: String) throws(Failure) -> [BuildAnnotation] {
        if text.isEmpty { return [] }
        guard let equals = text.firstIndex(of: "=") else {
            throw Failure(description: "invalid annotation \(GoQuote.quoted(text)), expected key=value")
        }
        let (name, value) = (text[..<equals], String(text[text.index(after: equals)...]))
        guard let colon = name.firstIndex(of: ":") else { return [try made(.manifest, nil, String(name), value)] }
        var found: [BuildAnnotation] = []
        for part in name[..<colon].split(separator: ",", omittingEmptySubsequences: false) {
            guard let (type, platform) = typeAndPlatform(part) else {
                throw Failure(
                    description: "invalid annotation type \(GoQuote.quoted(String(part))), expected type and optional platform in square brackets")
            }
            guard let place = Place(rawValue: type) else { throw Failure(description: "unknown annotation type \(GoQuote.quoted(type))") }
            found.append(try made(place, platform, String(name[name.index(after: colon)...]), value))
        }
        return found
    }

    /// An option of `--output`; nil when it is something else.
    package static func parse(option: String, value: String) throws(Failure) -> BuildAnnotation? {
        let prefix = "annotation"
        guard option.hasPrefix(prefix), let next = option.dropFirst(prefix.count).first, ".-[".contains(next) else { return nil }
        let failure = Failure(description: "could not fully parse annotation \(option)")
        // A key may have dots, and so may a platform not.
        guard let dot = option.firstIndex(of: ".") else { throw failure }
        let kind = option[..<dot].dropFirst(prefix.count)
        let key = String(option[option.index(after: dot)...])
        if kind.isEmpty { return try made(.manifest, nil, key, value) }
        guard let (type, platform) = typeAndPlatform(kind.hasPrefix("-") ? kind.dropFirst() : "manifest" + kind) else { throw failure }
        guard let place = Place(rawValue: type) else { throw Failure(description: "unrecognized annotation type \(type)") }
        return try made(place, platform, key, value)
    }

    /// The text that means the same.
    package var text: String { "\(place.rawValue)\(platform.map { "[\($0)]" } ?? ""):\(key)=\(value)" }

    private static func made(_ place: Place, _ platform: String?, _ key: String, _ value: String) throws(Failure) -> BuildAnnotation {
        guard !key.isEmpty, !key.contains(where: \.isWhitespace) else {
            throw Failure(description: "could not fully parse annotation annotation-\(place.rawValue).\(key)")
        }
        if let platform, platform.split(separator: "/").count > 3 || platform.hasPrefix("/") || platform.hasSuffix("/") {
            throw Failure(description: "invalid platform \(GoQuote.quoted(platform))")
        }
        // An index is for all platforms.
        return BuildAnnotation(place: place, platform: place.isOfIndex ? nil : platform, key: key, value: value)
    }

    /// `type` or `type[platform]`.
    private static func typeAndPlatform(_ text: some StringProtocol) -> (type: String, platform: String?)? {
        let type = text.prefix { $0 == "-" || ("a"..."z").contains($0) }
        guard !type.isEmpty else { return nil }
        let rest = text.dropFirst(type.count)
        if rest.isEmpty { return (String(type), nil) }
        guard rest.hasPrefix("["), rest.hasSuffix("]") else { return nil }
        let platform = rest.dropFirst().dropLast()
        let isPlatform = !platform.isEmpty && platform.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "_/-".contains($0)) }
        return isPlatform ? (String(type), String(platform)) : nil
    }
}
