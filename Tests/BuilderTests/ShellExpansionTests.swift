import BuildContext
import Testing

@testable import Builder

@Suite("Expanding variables")
struct ShellExpansionTests {
    struct Cases: Decodable {
        struct Case: Decodable, Sendable, CustomTestStringConvertible {
            var input: String
            var env: [String: String]
            var result: String?
            var error: Bool?
            var used: [String]?
            var unset: [String]?
            var testDescription: String { input }
        }
        var cases: [Case]
        var environment: [String: String]

        enum CodingKeys: String, CodingKey {
            case cases
            case environment = "env_for_envVarTest"
        }
    }

    static let cases = try? Fixtures.decode(Cases.self, "shell/word-expansion-cases.json")

    @Test("a word is expanded, and the names used and missing are told", arguments: cases?.cases ?? [])
    func words(example: Cases.Case) throws {
        let shell = ShellExpansion(environment: example.env)
        if example.error == true {
            #expect(throws: ShellExpansion.Failure.self) { try shell.expand(example.input) }
            return
        }
        let result = try shell.expand(example.input)
        #expect(result.text == example.result)
        #expect(result.used == Set(example.used ?? []))
        #expect(result.unset == Set(example.unset ?? []))
    }

    @Test("all substitutions of the table work")
    func table() throws {
        let shell = ShellExpansion(environment: try #require(Self.cases).environment)
        var count = 0
        for line in try Fixtures.text("shell/envVarTest").split(separator: "\n") {
            let fields = line.split(separator: "|", maxSplits: 2).map { String($0).trimmed() }
            guard fields.count >= 2, ["A", "U"].contains(fields[0]) else { continue }
            count += 1
            let expected = fields.count > 2 ? fields[2] : ""
            let result = try? shell.expand(fields[1]).text
            #expect(result == (expected == "error" ? nil : expected), "\(fields[1])")
        }
        #expect(count > 200)
    }

    @Test("text is split at white space outside quotes, also in values")
    func splitting() throws {
        var environment: [String: String] = [:]
        var count = 0
        for line in try Fixtures.text("shell/wordsTest").split(separator: "\n").map(String.init) {
            if line.hasPrefix("#") { continue }
            if line.hasPrefix("ENV "), let (name, value) = String(line.dropFirst(4)).splitOnce("=") {
                environment[name.trimmed()] = value
                continue
            }
            guard let (input, expected) = line.splitOnce("|") else { continue }
            count += 1
            let shell = ShellExpansion(environment: environment)
            let result = try? shell.expand(input.trimmed()).words.joined(separator: ",")
            #expect(result == (expected.trimmed() == "error" ? nil : expected.trimmedLeft()), "\(line)")
        }
        #expect(count > 15)
    }

    @Test("nesting without end is refused")
    func depth() {
        let word = String(repeating: "${a:-", count: 5000)
        #expect(throws: ShellExpansion.Failure.self) { try ShellExpansion(environment: [:]).expand(word) }
    }
}
