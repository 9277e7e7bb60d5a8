/// Which of the platforms of an image is wanted: `linux/arm64`, `linux/arm/v7`, or `arm64` alone.
public struct PlatformChoice: Sendable, Hashable, CustomStringConvertible {
    public var os: String
    public var architecture: String
    /// Nil takes any.
    public var variant: String?

    public init(os: String, architecture: String, variant: String? = nil) {
        self.os = os.lowercased()
        let names = ["x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm", "armel": "arm"]
        self.architecture = names[architecture.lowercased()] ?? architecture.lowercased()
        // Of arm64 there is only one, under two names.
        self.variant = variant.flatMap { $0.isEmpty || (self.architecture == "arm64" && $0 == "v8") ? nil : $0.lowercased() }
    }

    /// Nil when the text is no platform.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        func isWord(_ part: String) -> Bool {
            !part.isEmpty
                && part.utf8.allSatisfy { byte in
                    (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || "_-.".utf8.contains(byte)
                }
        }
        guard (1...3).contains(parts.count), parts.allSatisfy(isWord) else { return nil }
        if parts.count == 1 {
            self.init(os: "linux", architecture: parts[0])
        } else {
            self.init(os: parts[0], architecture: parts[1], variant: parts.count > 2 ? parts[2] : nil)
        }
    }

    /// The machine this program was compiled for.
    public static var host: PlatformChoice { PlatformChoice(os: Platform.host.os, architecture: Platform.host.architecture) }

    public var description: String { "\(os)/\(architecture)" + (variant.map { "/\($0)" } ?? "") }

    public func matches(_ platform: Platform) -> Bool {
        let other = PlatformChoice(os: platform.os, architecture: platform.architecture, variant: platform.variant)
        return os == other.os && architecture == other.architecture && (variant == nil || variant == other.variant)
    }
}

extension Index {
    /// The entry for a platform. Without a wish the host's, or the only one there is.
    public func entry(for wanted: PlatformChoice?) -> Descriptor? {
        let fitting = manifests.first { entry in entry.platform.map { (wanted ?? .host).matches($0) } ?? false }
        if let fitting { return fitting }
        return manifests.count == 1 && (wanted == nil || manifests[0].platform == nil) ? manifests[0] : nil
    }
}
