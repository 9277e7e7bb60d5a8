public import OCI

extension Index {
    /// The image of an index that fits a platform best; nil when none does. Attestations and the like are none.
    public func entry(for wanted: Platform) -> Descriptor? {
        let usable = manifests.filter { entry in
            (MediaType.isManifest(entry.mediaType) || MediaType.isIndex(entry.mediaType))
                && entry.annotations?["vnd.docker.reference.type"] == nil
        }
        for variant in Self.variants(wanted) {
            let found = usable.first { entry in
                guard let platform = entry.platform else { return false }
                return platform.os == wanted.os && platform.architecture == wanted.architecture
                    && Self.normal(platform) == variant
            }
            if let found { return found }
        }
        return nil
    }

    /// What runs on the wanted platform, the best first.
    private static func variants(_ platform: Platform) -> [String] {
        let variant = normal(platform)
        switch platform.architecture {
        case "amd64": return descending("v", from: variant, to: 1)
        case "arm": return descending("v", from: variant, to: 5)
        case "arm64": return descending("v", from: variant, to: 8)
        default: return variant.isEmpty ? [""] : [variant, ""]
        }
    }

    private static func descending(_ prefix: String, from variant: String, to last: Int) -> [String] {
        guard variant.hasPrefix(prefix), let first = Int(variant.dropFirst()), (last...99).contains(first) else { return [variant] }
        return (last...first).reversed().map { "\(prefix)\($0)" }
    }

    /// An absent variant is the one that goes without saying.
    private static func normal(_ platform: Platform) -> String {
        let variant = platform.variant ?? ""
        guard variant.isEmpty else { return variant }
        return switch platform.architecture {
        case "amd64": "v1"
        case "arm": "v7"
        case "arm64": "v8"
        default: ""
        }
    }
}
