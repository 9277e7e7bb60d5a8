import ArgumentParser
import FoundationEssentials
import Registry
import SystemPackage

/// What the command line says about registries: Docker's options. What stands there is added to what the file says, and a
/// number there counts in place of the file's.
struct RegistryOptions: ParsableArguments {
    @Option(name: .customLong("registry-mirror"), help: "A mirror of Docker's registry to ask first; may be repeated.")
    var mirrors: [String] = []

    @Option(
        name: .customLong("insecure-registry"),
        help: "A host, host:port or block of addresses that needs no trusted certificate and may speak plain http; may be repeated.")
    var insecure: [String] = []

    @Option(help: "How many layers are fetched at a time. (default: 3)")
    var maxConcurrentDownloads: Int?

    @Option(help: "How many layers are sent at a time. (default: 5)")
    var maxConcurrentUploads: Int?

    @Option(help: "How often a transfer that gets nowhere is tried. (default: 5)")
    var maxDownloadAttempts: Int?

    @Option(help: "After how many seconds a connection that brings nothing is replaced. (default: 20)")
    var stallTimeout: Int?

    @Option(
        name: .customLong("registry-certs"),
        help: "A directory like Docker's certs.d; may be repeated. (default: /etc/skiff/certs.d, /etc/docker/certs.d)")
    var certificates: [String] = []

    func configuration(file: String) throws -> RegistryConfiguration {
        var settings = try DaemonConfiguration.load(file)
        settings.registryMirrors += mirrors
        settings.insecureRegistries += insecure
        settings.maxConcurrentDownloads = maxConcurrentDownloads ?? settings.maxConcurrentDownloads
        settings.maxConcurrentUploads = maxConcurrentUploads ?? settings.maxConcurrentUploads
        settings.maxDownloadAttempts = maxDownloadAttempts ?? settings.maxDownloadAttempts
        settings.stallTimeout = stallTimeout ?? settings.stallTimeout
        var configuration = try settings.registryConfiguration()
        if !certificates.isEmpty { configuration.certificateDirectories = certificates.map { FilePath($0) } }
        configuration.proxies = ProxySettings(environment: ProcessInfo.processInfo.environment)
        return configuration
    }
}
