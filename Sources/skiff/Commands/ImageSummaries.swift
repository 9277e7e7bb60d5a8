import DockerAPI
import EngineClient
import FoundationEssentials
import OCI

extension EngineClient {
    /// Asks for a list of images. There may be thousands, so they are read without `Decodable`, which takes five times as
    /// long; what is not as it should be is left to it, for the sake of its words.
    func imageSummaries(_ request: EngineRequest) async throws -> [ImageSummary] {
        let bytes = try await send(request)
        return try ImageSummary.list(bytes) ?? JSONDecoder().decode([ImageSummary]?.self, from: Data(bytes)) ?? []
    }
}

extension ImageSummary {
    /// Nil when anything is not as it should be.
    static func list(_ bytes: [UInt8]) -> [ImageSummary]? {
        // Whoever is called next says what is wrong with it.
        guard let elements = (try? JSONValue.parse(bytes, limits: .init(bytes: 1 << 28)))?.array else { return nil }
        var images: [ImageSummary] = []
        images.reserveCapacity(elements.count)
        for element in elements {
            guard case .object(let members) = element, let image = ImageSummary(members) else { return nil }
            images.append(image)
        }
        return images
    }

    private init?(_ members: [(String, JSONValue)]) {
        self.init()
        for (name, value) in members {
            if case .null = value { continue }
            switch name {
            case "Id", "ParentId":
                guard let text = value.string else { return nil }
                if name == "Id" { Id = text } else { ParentId = text }
            case "RepoTags", "RepoDigests":
                guard let elements = value.array else { return nil }
                let names = elements.compactMap(\.string)
                guard names.count == elements.count else { return nil }
                if name == "RepoTags" { RepoTags = names } else { RepoDigests = names }
            case "Created", "Size", "SharedSize", "Containers":
                guard let number = value.integer else { return nil }
                switch name {
                case "Created": Created = number
                case "Size": Size = number
                case "SharedSize": SharedSize = number
                default: Containers = number
                }
            case "Labels":
                guard case .object(let labels) = value else { return nil }
                var found: [String: String] = [:]
                for (name, value) in labels {
                    guard let text = value.string else { return nil }
                    found[name] = text
                }
                Labels = found
            case "Descriptor": return nil
            default: continue
            }
        }
    }
}
