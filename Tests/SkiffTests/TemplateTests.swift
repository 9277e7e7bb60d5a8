import OCI
import Testing

@testable import SkiffCommands

@Suite("templates")
struct TemplateTests {
    private static let document =
        #"{"Name":"/web","State":{"Running":true,"Pid":42},"Env":["A=b","C=d"],"Labels":{"x.y":"z","a":"b"},"#
        + #""Ports":{"80/tcp":[{"HostPort":"8080"}],"9/udp":null},"None":null}"#

    private func render(_ template: String) throws -> String {
        try Template(template).render(TemplateValue(try JSONValue.parse(Array(Self.document.utf8))))
    }

    @Test(
        "what a template gives",
        arguments: [
            ("{{.Name}} {{.State.Pid}} {{.State.Running}}", "/web 42 true"),
            ("{{index .Env 1}} {{index .Labels \"x.y\"}}", "C=d z"), ("{{json .Labels}}", #"{"x.y":"z","a":"b"}"#),
            ("{{range .Env}}[{{.}}]{{end}}", "[A=b][C=d]"), ("{{range $i, $e := .Env}}{{$i}}{{$e}};{{end}}", "0A=b;1C=d;"),
            ("{{range $p, $b := .Ports}}{{$p}}={{with $b}}{{(index . 0).HostPort}}{{else}}-{{end}} {{end}}", "80/tcp=8080 9/udp=- "),
            ("{{if .State.Running}}yes{{else}}no{{end}}", "yes"), ("{{if .None}}a{{else if .Env}}b{{else}}c{{end}}", "b"),
            ("{{if and .State.Running (eq .State.Pid 42)}}x{{end}}", "x"), ("{{if not .None}}n{{end}}", "n"),
            ("{{join .Env \",\"}} {{len .Env}} {{.Name | upper | printf \"%-6s|\"}}", "A=b,C=d 2 /WEB  |"),
            ("{{.Labels}} {{.Env}} {{.None}}", "map[a:b x.y:z] [A=b C=d] <no value>"),
            ("{{println .Name}}", "/web\n"), ("{{slice .Name 1}} {{(index (split .Name \"/\") 1)}}", "web web"),
            ("a {{- \" b \" -}} c", "a b c"), ("{{/* remark */}}x", "x"), ("{{$x := .Name}}{{$x}} {{$.Name}}", "/web /web"),
            ("{{range .None}}a{{else}}none{{end}}", "none"), ("{{pad .Name 1 2}}|{{truncate .Name 2}}", " /web  |/w"),
            ("{{printf \"%s-%d %q\" .Name .State.Pid .Name}}", "/web-42 \"/web\""), ("{{`raw`}}", "raw"),
        ])
    func renders(template: String, text: String) throws {
        #expect(try render(template) == text)
    }

    @Test(
        "mistakes are told",
        arguments: [
            ("{{.Name", "template: :1: unclosed action"), ("{{if .Name}}x", "template: :1: unexpected EOF"),
            ("{{nope .Name}}", "template: :1: function \"nope\" not defined"),
            ("{{.Foo}}", "template: :1:2: executing \"\" at <.Foo>: map has no entry for key \"Foo\""),
            ("{{end}}", "template: :1: unexpected {{end}}"),
        ])
    func mistakes(template: String, message: String) {
        #expect(throws: TemplateError(message)) { try render(template) }
    }
}
