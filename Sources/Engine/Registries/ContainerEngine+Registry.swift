import Blocking
public import DockerAPI
import OCI
import Registry

extension ContainerEngine {
    /// `docker login`: asks the registry whether it takes the credentials. Nothing of them is kept here.
    public func authenticate(_ config: AuthConfig) async throws -> AuthResponse {
        let address = config.serveraddress ?? ""
        let host = address.isEmpty ? "docker.io" : RegistryAuth.host(address)
        guard !host.isEmpty, (try? Reference("\(host)/x")) != nil else {  // Why it is no host helps nobody.
            throw EngineError(.invalidArgument, "invalid registry address: \(address.prefix(200))")
        }
        do {
            let token = try await context.registries.logIn(to: host, RegistryCredentials(config))
            var response = AuthResponse()
            response.Status = "Login Succeeded"
            response.IdentityToken = token?.reveal() ?? ""
            return response
        } catch let error as RegistryError where error.kind == .unauthorized || error.kind == .denied {
            throw EngineError(.unauthorized, error.message)
        }
    }

    /// What a registry has under a name, without a pull.
    public func inspectDistribution(_ name: String, auth: RegistryAuth) async throws -> DistributionInspect {
        let (fetched, repository) = try await fetchManifest(name, auth)
        var inspect = DistributionInspect()
        var descriptor = OCIDescriptor()
        descriptor.mediaType = fetched.mediaType
        descriptor.digest = fetched.digest.description
        descriptor.size = Int64(fetched.bytes.count)
        inspect.Descriptor = descriptor
        inspect.Platforms = try await Self.platforms(fetched, repository).map { platform in
            var shown = OCIPlatform()
            shown.architecture = platform.architecture
            shown.os = platform.os
            shown.variant = platform.variant
            return shown
        }
        return inspect
    }

    /// The manifest itself, byte for byte, with its media type and its digest: `skiff manifest inspect`.
    public func distributionManifest(_ name: String, auth: RegistryAuth) async throws -> (bytes: [UInt8], mediaType: String, digest: String) {
        let fetched = try await fetchManifest(name, auth).manifest
        return (fetched.bytes, fetched.mediaType, fetched.digest.description)
    }

    private func fetchManifest(_ name: String, _ auth: RegistryAuth) async throws -> (manifest: FetchedManifest, RepositoryClient) {
        let reference = try Self.pullReference(name, tag: "").withDefaultTag()
        do {
            let source = try await blocking { [context] in try context.registries.registry(of: reference, auth.credentials) }
            let repository = try await source.connect(for: .pull)
            return (try await repository.manifest(ManifestName(reference)), repository)
        } catch let error as RegistryError {
            throw Self.pullError(error, reference)
        }
    }

    private static func platforms(_ fetched: FetchedManifest, _ repository: RepositoryClient) async throws -> [Platform] {
        switch fetched.document {
        case .index(let index): return index.manifests.compactMap(\.platform)
        case .manifest(let manifest):
            guard MediaType.isConfig(manifest.config.mediaType) else { return [] }
            let bytes = try await repository.blob(manifest.config, limit: 8 << 20)
            return try RegistryImageConfig.platform(bytes).map { [$0] } ?? []
        }
    }

    /// `docker search`.
    public func searchImages(_ term: String, limit: Int, filters: Filters, auth: RegistryAuth) async throws -> [SearchResult] {
        try filters.check(["is-official", "is-automated", "stars"])
        guard !term.isEmpty else { throw EngineError(.invalidArgument, "invalid term: search term is empty") }
        guard (0...100).contains(limit) else {
            throw EngineError(.invalidArgument, "limit \(limit) is outside the range of [1, 100]")
        }
        let stars =
            try filters["stars"].map { text in
                guard let number = Int(text) else { throw EngineError(.invalidArgument, "invalid filter 'stars=\(text)'") }
                return number
            }.max() ?? 0
        let found = try await context.registries.search(term, limit: limit == 0 ? 25 : limit, auth.credentials)
        return found.filter { item in
            (item.stars ?? 0) >= stars
                && filters.any("is-official") { ["true", "1"].contains($0) == (item.isOfficial ?? false) }
                && filters.any("is-automated") { ["true", "1"].contains($0) == (item.isAutomated ?? false) }
        }.map { item in
            var result = SearchResult()
            result.name = item.name
            result.description = item.description ?? ""
            result.star_count = item.stars ?? 0
            result.is_official = item.isOfficial ?? false
            result.is_automated = item.isAutomated ?? false
            return result
        }
    }

    /// What `docker info` tells of registries.
    var registryInformation: SystemInfo.RegistryServiceConfig {
        let configuration = context.registries.configuration
        var shown = SystemInfo.RegistryServiceConfig()
        let blocks = configuration.insecure.filter { $0.contains("/") }
        shown.InsecureRegistryCIDRs = ["::1/128", "127.0.0.0/8"] + blocks
        shown.Mirrors = (configuration.mirrors["docker.io"] ?? []).map(\.address.description)
        var indexes: [String: SystemInfo.IndexInfo] = [:]
        func add(_ name: String, isSecure: Bool, isOfficial: Bool) {
            var index = SystemInfo.IndexInfo()
            index.Name = name
            index.Mirrors = (configuration.mirrors[name] ?? []).map(\.address.description)
            index.Secure = isSecure
            index.Official = isOfficial
            indexes[name] = index
        }
        add("docker.io", isSecure: true, isOfficial: true)
        for host in configuration.insecure where !host.contains("/") { add(host, isSecure: false, isOfficial: false) }
        shown.IndexConfigs = indexes
        return shown
    }
}

/// The little that is wanted of a configuration that is not stored.
private enum RegistryImageConfig {
    static func platform(_ bytes: [UInt8]) throws -> Platform? {
        let value = try JSONValue.parse(bytes, limits: .init(bytes: 8 << 20))
        guard let architecture = value["architecture"]?.string, let os = value["os"]?.string else { return nil }
        return Platform(architecture: architecture, os: os, variant: value["variant"]?.string)
    }
}
