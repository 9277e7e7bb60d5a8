import BuildContext
import Testing

@testable import Builder

@Suite("Reading a Dockerfile")
struct ParserTests {
    @Test("every accepted example gives the expected tree", arguments: Fixtures.names("parser/testfiles"))
    func accepted(name: String) throws {
        let file = try DockerfileParser.parse(try Fixtures.bytes("parser/testfiles/\(name)/Dockerfile"))
        let expected = try Fixtures.text("parser/testfiles/\(name)/result")
        #expect(file.instructions.map(\.dump).joined(separator: "\n") == expected.trimmed())
    }

    @Test("every refused example is refused", arguments: Fixtures.names("parser/testfiles-negative"))
    func refused(name: String) throws {
        let bytes = try Fixtures.bytes("parser/testfiles-negative/\(name)/Dockerfile")
        #expect(throws: BuildError.self) { try DockerfileParser.parse(bytes) }
    }

    @Test("the examples are all there")
    func count() {
        #expect(Fixtures.names("parser/testfiles").count == 33)
        #expect(Fixtures.names("parser/testfiles-negative").count == 4)
    }

    @Test("an instruction knows its first and last line")
    func lineNumbers() throws {
        let file = try DockerfileParser.parse(try Fixtures.bytes("parser/testfile-line/Dockerfile"))
        #expect(file.instructions.map { [$0.firstLine, $0.lastLine] } == [[5, 5], [11, 12], [17, 31]])
    }

    @Test("an error names the line and what was expected")
    func errors() {
        func message(_ text: String) -> String {
            do {
                _ = try parse(text)
                return "no error"
            } catch {
                return "\(error)"
            }
        }
        #expect(message("FROM a\n\nENV PATH\n") == "dockerfile parse error on line 3: ENV must have two arguments")
        #expect(
            message("FROM a\nENV a=1 b\n")
                == "dockerfile parse error on line 2: Syntax error - can't find = in \"b\". Must be of the form: name=value")
        #expect(
            message("FROM a\nCMD [\"a\", 1]\n")
                == "dockerfile parse error on line 2: when using JSON array syntax, arrays must be comprised of strings only")
        #expect(message("# escape=x\nFROM a\n").hasPrefix("dockerfile parse error on line 1: invalid escape token 'x'"))
        #expect(
            message("# escape=`\n# escape=`\nFROM a\n")
                == "dockerfile parse error on line 2: only one escape parser directive can be used")
        #expect(message("") == "file with no instructions")
        #expect(message("FROM a\nRUN <<EOF\nx\n") == "dockerfile parse error on line 2: unterminated heredoc")
        #expect(
            message(String(repeating: "a", count: 70_000))
                == "dockerfile parse error on line 1: line greater than maximum allowed size of 65535")
    }

    @Test("here-documents are taken from the following lines")
    func heredocs() throws {
        let file = try parse("FROM a\nCOPY <<A <<-\"B\" /x/\none\nA\n\t$two\n\tB\nRUN cat 3<<EOF\n# kept\nEOF\nRUN echo $((1<<2)) <<< x\n")
        let copy = file.instructions[1]
        #expect(copy.heredocs.map(\.name) == ["A", "B"])
        #expect(copy.heredocs.map(\.content) == ["one\n", "$two\n"])
        #expect(copy.heredocs.map(\.expands) == [true, false])
        #expect(copy.lastLine == 6)
        #expect(file.instructions[2].heredocs.first?.content == "# kept\n")
        #expect(file.instructions[2].heredocs.first?.descriptor == "3")
        #expect(file.instructions[3].heredocs.isEmpty)
    }

    @Test("comments and empty lines inside a continuation are dropped, the latter with a warning")
    func continuations() throws {
        let file = try parse("FROM a\r\nRUN one \\\r\n  # comment\r\n\r\n  two \\\n# other\n  && three\nUSER x\n")
        #expect(file.instructions.map(\.text) == ["FROM a", "RUN one   two   && three", "USER x"])
        #expect(file.warnings == ["[WARNING]: Empty continuation line found in line 4"])
    }
}
