import DockerAPI
import FoundationEssentials
import Testing

@testable import SkiffCommands

@Suite struct ImageSummaryTests {
    @Test("a list of images is read as its Decodable form would read it")
    func sameValues() throws {
        let text = #"""
            [{"Containers":-1,"Created":1700000000,"Id":"sha256:1","Labels":{"a":"b"},"ParentId":"","RepoDigests":null,
              "RepoTags":["a:1","b:2"],"SharedSize":-1,"Size":12,"New":{"x":[1]}},{"Id":null},{}]
            """#
        let expected = try JSONDecoder().decode([ImageSummary].self, from: Data(text.utf8))
        #expect(ImageSummary.list(Array(text.utf8)) == expected)
        #expect(ImageSummary.list(Array("[]".utf8)) == [])
    }

    @Test(
        "what is not as it should be is left to the words of the usual way",
        arguments: [
            "null", "{}", "[1]", "[{\"Id\":1}]", "[{\"Size\":\"x\"}]", "[{\"RepoTags\":[1]}]", "[{\"Labels\":{\"a\":1}}]", "[",
            "[{\"Id\":\"a\",\"Id\":\"b\"}]",
        ])
    func nonsense(text: String) { #expect(ImageSummary.list(Array(text.utf8)) == nil) }
}
