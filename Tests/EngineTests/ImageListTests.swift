import DockerAPI
import Engine
import OCI
import Testing

@testable import EngineServer

@Suite struct ImageListTests {
    @Test("a list of images is the same to the byte as its members are encoded one by one")
    func sameBytes() throws {
        var full = ImageSummary()
        full.Id = "sha256:12"
        full.ParentId = ""
        full.RepoTags = ["a/b:1", "registry.example/ü\"\\:2"]
        full.RepoDigests = []
        full.Created = -3
        full.Size = 1 << 40
        full.SharedSize = -1
        full.Labels = ["b": "2\n", "a/slash": "1\u{1}", "é": ""]
        full.Containers = 0
        for image in [full, ImageSummary()] {
            let expected = try String(decoding: APIJSON.encode(image), as: UTF8.self)
            #expect(String(decoding: image.json.serialized(), as: UTF8.self) == expected)
        }
    }
}
