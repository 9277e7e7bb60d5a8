import FoundationEssentials
import OCI
import Testing

@Suite struct ImageDocumentTests {
    private func decode<T: Decodable>(_ type: T.Type, _ json: String) throws -> T {
        try JSONDecoder().decode(type, from: Data(json.utf8))
    }

    private let layer = String(repeating: "a", count: 64)

    @Test("a configuration keeps what it says when it is read and written again")
    func configRoundTrip() throws {
        let json = """
            {"architecture":"amd64","config":{"Cmd":["sh"],"Env":["A=b"],"ExposedPorts":{"53/udp":{},"80/tcp":{}},\
            "Healthcheck":{"Interval":30000000000,"Test":["CMD-SHELL","true"]},"Labels":{"a":"b"},"User":"me",\
            "Volumes":{"/data":{}},"WorkingDir":"/w"},"created":"2026-01-02T03:04:05Z",\
            "history":[{"created_by":"x","empty_layer":true}],"os":"linux",\
            "rootfs":{"diff_ids":["sha256:\(layer)"],"type":"layers"}}
            """
        let config = try decode(ImageConfig.self, json)
        #expect(config.config?.exposedPorts == ["80/tcp", "53/udp"])
        #expect(config.config?.volumes == ["/data"])
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        #expect(String(decoding: try encoder.encode(config), as: UTF8.self) == json)
    }

    @Test("null fields, as Go writes them, are absent fields")
    func nulls() throws {
        let config = try decode(
            ImageConfig.self,
            #"{"architecture":"amd64","os":"linux","config":{"Cmd":null,"Env":null,"Volumes":null},"rootfs":{"type":"layers","diff_ids":null}}"#)
        #expect(config.config?.cmd == nil)
        #expect(config.rootfs.diffIDs.isEmpty)
        #expect(try decode(ImageConfig.self, #"{"architecture":"a","os":"b","config":null,"rootfs":{"type":"layers"}}"#).config == nil)
    }

    @Test("a document that could be a manifest and an index is neither")
    func ambiguousManifest() throws {
        let descriptor = #"{"mediaType":"x","digest":"sha256:\#(layer)","size":1}"#
        let manifest = #"{"schemaVersion":2,"config":\#(descriptor),"layers":[\#(descriptor)]}"#
        let index = #"{"schemaVersion":2,"manifests":[\#(descriptor)]}"#
        #expect(try decode(Manifest.self, manifest).layers.count == 1)
        #expect(try decode(Index.self, index).manifests.count == 1)
        let both = #"{"schemaVersion":2,"config":\#(descriptor),"layers":[\#(descriptor)],"manifests":[\#(descriptor)]}"#
        #expect(throws: DecodingError.self) { try decode(Manifest.self, both) }
        #expect(throws: DecodingError.self) { try decode(Index.self, both) }
    }

    @Test("a digest that is a path is refused in a descriptor")
    func digestAsPath() {
        #expect(throws: DecodingError.self) {
            try decode(Descriptor.self, #"{"mediaType":"x","digest":"sha256:../../../etc/passwd","size":1}"#)
        }
    }
}
