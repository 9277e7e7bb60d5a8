import FoundationEssentials
import SystemPackage

@testable import OCI
@testable import Registry

/// The entry that libFuzzer calls with each input: what people type as the name of an image, and what registries, archives
/// and operators send as documents about images. The first byte says which. Any answer is right that is not a trap; what
/// was accepted is written and has to be read back as the same.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzImages(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let bytes = Array(UnsafeBufferPointer(start: data, count: count))
    guard let kind = bytes.first else { return 0 }
    let rest = Array(bytes.dropFirst())
    let text = String(decoding: rest, as: UTF8.self)
    switch kind % 6 {
    case 0: readReference(text)
    case 1: readManifest(rest)
    case 2: readConfig(rest)
    case 3: _ = Challenge.parse(text.split(separator: "\n").map(String.init))
    case 4: readAddresses(text)
    default: readHosts(rest)
    }
    return 0
}

private func readReference(_ text: String) {
    guard let reference = try? Reference(text) else { return }
    for again in [reference.description, reference.familiarString] {
        precondition((try? Reference(again)) == reference, "\(again) is another name than \(text)")
    }
    precondition(reference.withDefaultTag().tag != nil || reference.digest != nil, "neither a tag nor a digest")
}

private func readManifest(_ bytes: [UInt8]) {
    for type in [nil, MediaType.manifest, MediaType.index, "application/vnd.docker.distribution.manifest.v2+json"] {
        guard let document = try? ManifestDocument(bytes, contentType: type, repository: "a/b") else { continue }
        switch document {
        case .manifest(let manifest):
            precondition(manifest.config.size >= 0 && manifest.layers.allSatisfy { $0.size >= 0 }, "a size below zero")
            readAgain(manifest)
        case .index(let index):
            for (architecture, variant) in [("amd64", nil), ("arm", "v7"), ("arm64", nil)] as [(String, String?)] {
                let platform = Platform(architecture: architecture, os: "linux", osVersion: nil, osFeatures: nil, variant: variant)
                if let entry = index.entry(for: platform) { precondition(index.manifests.contains(entry), "an entry from nowhere") }
            }
            readAgain(index)
        }
    }
}

private func readConfig(_ bytes: [UInt8]) {
    guard let config = try? JSONDecoder().decode(ImageConfig.self, from: Data(bytes)) else { return }
    _ = config.platform.description
    readAgain(config)
}

private func readAgain<T: Codable & Equatable>(_ value: T) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(value) else { fatalError("what was read cannot be written") }
    precondition((try? JSONDecoder().decode(T.self, from: data)) == value, "what was written is something else")
}

/// An address, and a `Location` that came from there.
private func readAddresses(_ text: String) {
    let parts = text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = WebAddress(String(parts[0])) else { return }
    precondition(WebAddress(address.description) == address, "\(address) is read as another address")
    guard parts.count == 2, let target = address.resolving(String(parts[1])) else { return }
    precondition(WebAddress(target.description)?.origin == target.origin, "\(target) is at another origin")
    precondition(target.adding("a", "b&c").description.hasSuffix("a=b%26c"), "a query that means something else")
}

private func readHosts(_ bytes: [UInt8]) {
    guard let file = try? HostsFile(bytes, domain: "registry.example", place: "/certs") else { return }
    for host in file.hosts + (file.server.map { [$0] } ?? []) {
        precondition(
            host.headers.allSatisfy { !$0.name.isEmpty && !$0.value.utf8.contains(0x0A) && !$0.value.utf8.contains(0x0D) }, "a header that is two")
        precondition(!host.root.hasSuffix("/"), "a root with a slash")
    }
}
