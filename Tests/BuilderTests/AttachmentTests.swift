import FoundationEssentials
import Linux
import OCI
import Store
import SystemPackage
import Testing

@testable import BuildContext
@testable import Builder
@testable import Images

@Suite("What a build lets go with its image")
struct AttachmentTests {
    private func annotation(
        _ place: BuildAnnotation.Place, _ key: String, _ value: String, platform: String? = nil
    ) -> BuildAnnotation {
        BuildAnnotation(place: place, platform: platform, key: key, value: value)
    }

    private func message(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "no error"
        } catch {
            return "\(error)"
        }
    }

    @Test("annotations are for the manifest unless they say for what")
    func annotations() throws {
        #expect(try BuildAnnotation.parse("a=b=c:d") == [annotation(.manifest, "a", "b=c:d")])
        #expect(try BuildAnnotation.parse("") == [])
        #expect(
            try BuildAnnotation.parse("index,manifest-descriptor[linux/arm/v7]:org.x=y")
                == [annotation(.index, "org.x", "y"), annotation(.manifestDescriptor, "org.x", "y", platform: "linux/arm/v7")])
        #expect(try BuildAnnotation.parse("index[linux/amd64]:a=").map(\.text) == ["index:a="])
        for text in ["manifest[linux/amd64]:a=b c", "index-descriptor:a=b,c"] {
            #expect(try BuildAnnotation.parse(text).map(\.text) == [text])
        }
        #expect(message { _ = try BuildAnnotation.parse("a") } == #"invalid annotation "a", expected key=value"#)
        #expect(message { _ = try BuildAnnotation.parse("what:a=b") } == #"unknown annotation type "what""#)
        #expect(
            message { _ = try BuildAnnotation.parse("index[a b]:a=b") }
                == #"invalid annotation type "index[a b]", expected type and optional platform in square brackets"#)
        #expect(message { _ = try BuildAnnotation.parse("manifest[a/b/c/d]:a=b") } == #"invalid platform "a/b/c/d""#)
        for wrong in ["=b", "index:=b", "a b=c", ":a=b", "index[]:a=b", "index[x:a=b", ",index:a=b"] {
            #expect(message { _ = try BuildAnnotation.parse(wrong) } != "no error", "\(wrong)")
        }
    }

    @Test("annotations among the options of an output")
    func outputOptions() throws {
        #expect(try BuildAnnotation.parse(option: "annotation.org.x", value: "y") == annotation(.manifest, "org.x", "y"))
        #expect(try BuildAnnotation.parse(option: "annotation-index.a", value: "") == annotation(.index, "a", ""))
        #expect(
            try BuildAnnotation.parse(option: "annotation-manifest-descriptor[linux/amd64].a.b", value: "c")
                == annotation(.manifestDescriptor, "a.b", "c", platform: "linux/amd64"))
        #expect(try BuildAnnotation.parse(option: "annotation[linux/amd64].a", value: "c")?.platform == "linux/amd64")
        #expect(try BuildAnnotation.parse(option: "annotations", value: "c") == nil)
        #expect(message { _ = try BuildAnnotation.parse(option: "annotation-what.a", value: "") } == "unrecognized annotation type what")
        #expect(
            message { _ = try BuildAnnotation.parse(option: "annotation-index", value: "") }
                == "could not fully parse annotation annotation-index")
        #expect(message { _ = try BuildAnnotation.parse(option: "annotation.", value: "") } != "no error")
    }

    @Test("attestations have a type, options of their own and no double")
    func attestations() throws {
        var full = BuildAttestation.Provenance()
        full.isFull = true
        #expect(try BuildAttestation.parse(["type=sbom", "type=provenance,mode=max"]) == [.sbom(isForImages: false), .provenance(full)])
        #expect(try BuildAttestation.parse([], provenance: "mode=max", sbom: "true") == [.sbom(isForImages: false), .provenance(full)])
        #expect(try BuildAttestation.parse([], provenance: "true") == [.provenance(.init())])
        #expect(try BuildAttestation.parse([], provenance: "false", sbom: "0") == [])
        #expect(try BuildAttestation.parse(["type=sbom,disabled=true"]) == [])
        full.version = .v1
        full.builderID = "https://x/a,b"
        full.isReproducible = true
        full.isForImages = true
        for one in [BuildAttestation.provenance(full), .provenance(.init()), .sbom(isForImages: true)] {
            #expect(try BuildAttestation.parse([one.text]) == [one])
        }
        #expect(message { _ = try BuildAttestation.parse(["type=sbom"], sbom: "true") } == "duplicate attestation field sbom")
        #expect(message { _ = try BuildAttestation.parse(["mode=max"]) } == "attestation type not specified")
        #expect(message { _ = try BuildAttestation.parse([], provenance: "mode=some") } == #"invalid mode "some""#)
        #expect(message { _ = try BuildAttestation.parse([], provenance: "version=v2") } == "invalid provenance SLSA version: v2")
        #expect(message { _ = try BuildAttestation.parse([], sbom: "generator=docker/scout") }.contains("the engine makes it itself"))
        for wrong in ["type=what", "type=sbom,mode=max", "type=provenance,x=y", "type", "type=sbom,disabled=maybe", "type=\"sbom"] {
            #expect(message { _ = try BuildAttestation.parse([wrong]) } != "no error", "\(wrong)")
        }
    }

    private func provenance(_ wanted: BuildAttestation.Provenance, dockerfile: String = "app/Dockerfile") throws -> JSONValue {
        var request = BuildRequest(
            dockerfile: .inContext(dockerfile), context: .directory("/nosuch"),
            buildArgs: ["V": "arg-value", "HTTPS_PROXY": "http://u:proxy-password@p", "UNSET": nil], labels: ["l": "label-value"], target: "last")
        request.secrets = ["key": Array("secret-value".utf8)]
        request.namedContexts = ["here": .directory("/nosuch"), "there": .directory("/nosuch")]
        request.contextAddresses = ["there": "https://x/y.tar"]
        let digest = Digest.sha256(of: [1])
        var lock = LockFile()
        let platform = "\(Platform.host)"
        lock.images["docker.io/library/debian:12"] = [platform: .init(digest: digest, id: Digest.sha256(of: [2]))]
        lock.images["docker.io/library/mine:latest"] = [platform: .init(digest: nil, id: Digest.sha256(of: [2]))]
        lock.repositories["https://x/y.git#main"] = String(repeating: "a", count: 40)
        lock.files["https://x/y.tar"] = digest
        let provenance = Provenance(wanted: wanted, request: request, lock: lock, dockerfile: Array("FROM x".utf8))
        let text = String(decoding: provenance.predicate.serialized(), as: UTF8.self)
        for secret in ["secret-value", "proxy-password"] { #expect(!text.contains(secret)) }
        for given in ["arg-value", "label-value", "\"key\""] { #expect(text.contains(given) == wanted.isFull, "\(given)") }
        return provenance.predicate
    }

    @Test("provenance tells materials with digests, and in its short form no values of arguments")
    func shortProvenance() throws {
        let predicate = try provenance(.init())
        let materials = predicate["materials"]?.array ?? []
        let architecture = Platform.host.architecture
        #expect(
            materials.map { $0["uri"]?.string } == [
                "pkg:docker/debian@12?platform=linux%2F\(architecture)", "pkg:oci/mine@latest?platform=linux%2F\(architecture)",
                "https://x/y.git#main", "https://x/y.tar",
            ])
        #expect(materials[0]["digest"]?["sha256"]?.string == Digest.sha256(of: [1]).hex)
        #expect(materials[1]["digest"]?["sha256"]?.string == Digest.sha256(of: [2]).hex)
        #expect(materials[2]["digest"]?["sha1"]?.string == String(repeating: "a", count: 40))
        let invocation = predicate["invocation"]
        #expect(invocation?["configSource"] == ["entryPoint": "app/Dockerfile"])
        #expect(invocation?["parameters"]?["args"] == ["target": "last"])
        #expect(invocation?["parameters"]?["locals"] == [["name": "context"], ["name": "dockerfile"], ["name": "context:here"]])
        #expect(predicate["metadata"]?["completeness"] == ["environment": true, "materials": false, "parameters": false])
    }

    @Test("provenance in full has arguments, labels, the names of secrets and the Dockerfile, in both versions")
    func fullProvenance() throws {
        var wanted = BuildAttestation.Provenance()
        wanted.isFull = true
        wanted.builderID = "https://builder"
        let old = try provenance(wanted)
        #expect(old["builder"]?["id"]?.string == "https://builder")
        #expect(old["invocation"]?["parameters"]?["args"] == ["build-arg:V": "arg-value", "label:l": "label-value", "target": "last"])
        #expect(old["invocation"]?["parameters"]?["secrets"] == [["id": "key", "optional": true]])
        let source = old["metadata"]?["https://mobyproject.org/buildkit@v1#metadata"]?["source"]?["infos"]?.array?.first
        #expect(source?["data"]?.string == Data("FROM x".utf8).base64EncodedString())
        // A name that a client has made up is none, or no two builds would say the same.
        let outside = try provenance(wanted, dockerfile: ".dockerfile.1f2e")
        #expect(outside["invocation"]?["configSource"] == ["entryPoint": "Dockerfile"])
        #expect(!String(decoding: outside.serialized(), as: UTF8.self).contains("1f2e"))
        wanted.version = .v1
        let new = try provenance(wanted)
        #expect(new["buildDefinition"]?["resolvedDependencies"] == old["materials"])
        #expect(new["buildDefinition"]?["externalParameters"]?["request"] == old["invocation"]?["parameters"])
        #expect(new["buildDefinition"]?["externalParameters"]?["configSource"] == ["path": "app/Dockerfile"])
        #expect(new["runDetails"]?["metadata"]?["buildkit_metadata"]?["source"]?["infos"]?.array?.first == source)
    }

    @Test("a list of packages is a whole document of SPDX, with an id of its own for each")
    func packageList() throws {
        let packages = [
            InstalledPackage(.debian, "bash", "5.2-15+b2", architecture: "amd64", source: "var/lib/dpkg/status"),
            InstalledPackage(.node, "@scope/name", "1.0.0", source: "app/node_modules/@scope/name/package.json"),
            InstalledPackage(.node, "@scope/name", "1.0.0", source: "node_modules/@scope/name/package.json"),
        ].compactMap(\.self)
        let inventory = PackageInventory(distribution: Distribution(id: "debian", version: "12"), packages: packages)
        let document = SPDXDocument(inventory: inventory, layers: [Digest.sha256(of: [1])], created: "2026-01-02T03:04:05Z").json
        #expect(document["spdxVersion"]?.string == "SPDX-2.3" && document["creationInfo"]?["created"]?.string == "2026-01-02T03:04:05Z")
        let all = document["packages"]?.array ?? []
        let ids = all.compactMap { $0["SPDXID"]?.string }
        #expect(all.count == 4 && Set(ids).count == 4)
        #expect(ids.allSatisfy { $0.hasPrefix("SPDXRef-") && $0.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-.".contains($0)) } })
        #expect(
            all.dropFirst().map { $0["externalRefs"]?.array?.first?["referenceLocator"]?.string } == [
                "pkg:deb/debian/bash@5.2-15%2Bb2?arch=amd64&distro=debian-12", "pkg:npm/%40scope/name@1.0.0", "pkg:npm/%40scope/name@1.0.0",
            ])
        let related = document["relationships"]?.array ?? []
        #expect(related.first?["relationshipType"]?.string == "DESCRIBES" && related.count == 4)
        #expect(related.compactMap { $0["relatedSpdxElement"]?.string } == ids)
    }
}
