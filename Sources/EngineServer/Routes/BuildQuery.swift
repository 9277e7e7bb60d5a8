import DockerAPI
import Engine
import FoundationEssentials

/// The parameters of `POST /build`.
struct BuildQuery {
    let parameters: BuildParameters

    init(_ query: Query) throws {
        var parameters = BuildParameters()
        if query["version"] == "2" {
            throw EngineError(.notImplemented, "BuildKit sessions are not available in this version of Skiff; use DOCKER_BUILDKIT=0")
        }
        parameters.remote = query["remote"] ?? ""
        parameters.contextFolder = query["folder"] ?? ""
        parameters.contextIdentity = query["folderidentity"] ?? ""
        parameters.namedContexts = try Self.object(query["contexts"], as: [String: String].self) ?? [:]
        parameters.agents = try Self.object(query["ssh"], as: [String: String].self) ?? [:]
        parameters.ulimits = try Self.object(query["ulimits"], as: [Ulimit].self) ?? []
        parameters.dockerfile = (query["dockerfile"] ?? "").isEmpty ? "Dockerfile" : query["dockerfile"] ?? ""
        parameters.tags = query.all("t").filter { !$0.isEmpty }
        parameters.noCache = query.flag("nocache")
        parameters.cacheSources = try Self.object(query["cachefrom"], as: [String]?.self).flatMap { $0 } ?? []
        parameters.cacheTargets = try Self.object(query["cacheto"], as: [String].self) ?? []
        parameters.noCacheStages = query.all("nocachefilter")
        parameters.call = (query["call"] ?? "").isEmpty ? "build" : query["call"] ?? ""
        parameters.squashes = query.flag("squash")
        parameters.explainsCache = query.flag("explaincache")
        parameters.opensShell = query.flag("debug")
        parameters.quiet = query.flag("q")
        parameters.target = (query["target"] ?? "").isEmpty ? nil : query["target"]
        parameters.secretsID = (query["secrets"] ?? "").isEmpty ? nil : query["secrets"]
        parameters.locks = query.flag("lock")
        parameters.lockID = (query["locked"] ?? "").isEmpty ? nil : query["locked"]
        parameters.annotations = try Self.object(query["annotations"], as: [String].self) ?? []
        parameters.attestations = try Self.object(query["attests"], as: [String].self) ?? []
        parameters.networkMode = query["networkmode"] ?? ""
        parameters.buildArguments = try Self.object(query["buildargs"], as: [String: String?].self) ?? [:]
        parameters.labels = try Self.object(query["labels"], as: [String: String].self) ?? [:]
        parameters.memoryBytes = Int64(try query.integer("memory") ?? 0)
        parameters.memorySwapBytes = Int64(try query.integer("memswap") ?? 0)
        parameters.cpuShares = Int64(try query.integer("cpushares") ?? 0)
        parameters.cpuPeriod = Int64(try query.integer("cpuperiod") ?? 0)
        parameters.cpuQuota = Int64(try query.integer("cpuquota") ?? 0)
        parameters.cpusetCPUs = query["cpusetcpus"] ?? ""
        parameters.cpusetMems = query["cpusetmems"] ?? ""
        parameters.shmSizeBytes = Int64(try query.integer("shmsize") ?? 0)
        parameters.cgroupParent = query["cgroupparent"] ?? ""
        parameters.extraHosts = query.all("extrahosts").filter { !$0.isEmpty }
        parameters.pulls = query.flag("pull")
        parameters.platform = query["platform"] ?? ""
        if query.flag("outputs") {
            throw EngineError(.notImplemented, "build output other than an image is not available in this version of Skiff; ask for it afterwards")
        }
        self.parameters = parameters
    }

    private static func object<T: Decodable>(_ text: String?, as type: T.Type) throws -> T? {
        guard let text, !text.isEmpty else { return nil }
        do {
            return try JSONDecoder().decode(type, from: Data(text.utf8))
        } catch {
            throw EngineError(.invalidArgument, "error reading build arguments: \(text.prefix(80))")
        }
    }
}
