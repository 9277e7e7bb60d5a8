import BuildContext
import Testing

@testable import Builder

@Suite("The ignore file of a build context")
struct IgnorePatternsTests {
    struct Cases: Decodable {
        struct Case: Decodable, Sendable, CustomTestStringConvertible {
            var patterns: [String]
            var path: String
            var match: Bool
            var isRefused: Bool
            var testDescription: String { "\(patterns) \(path)" }

            enum CodingKeys: String, CodingKey {
                case patterns, path, match, error
            }

            init(from decoder: any Decoder) throws {
                let container = try decoder.container(keyedBy: CodingKeys.self)
                patterns = try container.decode([String].self, forKey: .patterns)
                path = try container.decode(String.self, forKey: .path)
                match = try container.decode(Bool.self, forKey: .match)
                isRefused = container.contains(.error)
            }
        }
        var single: [Case]
        var multi: [Case]
        var direct: [Case]
        var matching: [Case]

        enum CodingKeys: String, CodingKey {
            case single, multi, direct
            case matching = "go_match"
        }
    }

    static let cases = try? Fixtures.decode(Cases.self, "dockerignore/patternmatcher-cases.json")

    @Test(
        "a path is left out or kept as expected",
        arguments: cases.map { $0.single + $0.multi + $0.direct + $0.matching } ?? [])
    func excludes(example: Cases.Case) throws {
        if example.isRefused {
            #expect(throws: IgnorePatterns.Failure.self) { try IgnorePatterns(lines: example.patterns) }
        } else {
            #expect(try IgnorePatterns(lines: example.patterns).excludes(example.path) == example.match)
        }
    }

    @Test("all tables are there")
    func counts() throws {
        let cases = try #require(Self.cases)
        #expect([cases.single.count, cases.multi.count, cases.direct.count, cases.matching.count] == [68, 4, 11, 54])
    }

    @Test("an ignore file is read without comments, blanks and leading slashes")
    func file() throws {
        struct Files: Decodable {
            struct Case: Decodable {
                var content: String
                var patterns: [String]
            }
            var cases: [Case]
        }
        for example in try Fixtures.decode(Files.self, "dockerignore/ignorefile-cases.json").cases {
            #expect(IgnorePatterns.patterns(in: Array(example.content.utf8)) == example.patterns)
        }
    }

    @Test("a directory is skipped only if nothing below it can come back")
    func pruning() throws {
        let plain = try IgnorePatterns(lines: ["node_modules", "*.log"])
        #expect(plain.canPrune("node_modules"))
        #expect(!plain.canPrune("src"))
        let exceptions = try IgnorePatterns(lines: ["*", "!src/**/*.swift", "!README"])
        #expect(exceptions.canPrune("build"))
        #expect(!exceptions.canPrune("src"))
        #expect(!exceptions.canPrune("src/deep"))
        #expect(try !IgnorePatterns(lines: ["*", "!**/keep"]).canPrune("any"))
    }

    @Test("a file of its own beside the Dockerfile comes first")
    func fileNames() {
        #expect(IgnorePatterns.fileNames(dockerfile: "sub/App") == ["sub/App.dockerignore", ".dockerignore"])
        #expect(IgnorePatterns.fileNames(dockerfile: nil) == [".dockerignore"])
    }
}
