import Testing

@testable import SkiffCommands

@Suite("The place of an error in a Dockerfile")
struct DockerfileExcerptTests {
    private let content = "FROM busybox\n\nRUNN echo  \nRUN true\n"

    @Test("the line is marked, with two before and after it")
    func marked() throws {
        let excerpt = try #require(DockerfileExcerpt(path: "a/Dockerfile", error: "dockerfile parse error on line 3: unknown instruction: RUNN"))
        #expect(
            excerpt.text(of: content) == """
                a/Dockerfile:3
                --------------------
                 1 |     FROM busybox
                 2 |
                 3 | >>> RUNN echo
                 4 |     RUN true
                --------------------
                """)
    }

    @Test("errors without a line, and lines that are not there, have no excerpt")
    func none() throws {
        for error in ["", "pull access denied", "dockerfile parse error: x", "dockerfile parse error on line 0: x"] {
            #expect(DockerfileExcerpt(path: "Dockerfile", error: error) == nil)
        }
        let far = try #require(DockerfileExcerpt(path: "/nosuch/Dockerfile", error: "dockerfile parse error on line 6: x"))
        #expect(far.text(of: content) == nil && far.text == nil)
    }

    @Test("the last line of a file counts, with and without its end")
    func last() throws {
        let excerpt = try #require(DockerfileExcerpt(path: "D", error: "dockerfile parse error on line 1: x"))
        for content in ["RUNN", "RUNN\n"] { #expect(excerpt.text(of: content) == "D:1\n--------------------\n 1 | >>> RUNN\n--------------------") }
    }
}
