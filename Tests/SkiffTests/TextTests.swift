import DockerAPI
import FoundationEssentials
import OCI
import Testing

@testable import SkiffCommands

@Suite("what is shown")
struct TextTests {
    @Test(
        "sizes as Docker rounds them",
        arguments: [
            (0, 3, "0B"), (999, 3, "999B"), (1000, 3, "1kB"), (12345, 4, "12.35kB"), (116_999_123, 3, "117MB"),
            (7_800_000, 3, "7.8MB"), (999_950, 3, "1e+03kB"), (1_500_000_000, 4, "1.5GB"),
        ])
    func sizes(bytes: Int64, digits: Int, text: String) {
        #expect(HumanText.size(bytes, digits: digits) == text)
    }

    @Test("binary sizes")
    func binarySizes() {
        #expect(HumanText.binarySize(12_000_000) == "11.44MiB")
        #expect(HumanText.binarySize(8_589_934_592) == "8GiB")
    }

    @Test(
        "durations in Docker's words",
        arguments: [
            (0.5, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"), (125, "2 minutes"),
            (3600, "About an hour"), (7200, "2 hours"), (86400 * 3, "3 days"), (86400 * 20, "2 weeks"),
            (86400 * 90, "3 months"), (86400 * 800, "2 years"),
        ] as [(Double, String)])
    func durations(seconds: Double, text: String) {
        #expect(HumanText.duration(seconds) == text)
    }

    @Test("times")
    func times() {
        #expect(HumanText.timestamp(unixTime: 1_767_323_045) == "2026-01-02 03:04:05 +0000 UTC")
        #expect(HumanText.unixTime("2026-01-02T03:04:05.5Z") == 1_767_323_045.5)
        #expect(HumanText.unixTime("yesterday") == nil)
    }

    @Test("columns are ten wide at least, with three blanks between, and the last one is not filled")
    func table() {
        let text = Table.layOut([["CONTAINER ID", "IMAGE", "NAMES"], ["4c01db0b339c", "a", "web"]])
        #expect(text == "CONTAINER ID   IMAGE     NAMES\n4c01db0b339c   a         web\n")
    }

    @Test("the table of `ps`")
    func ps() throws {
        var container = ContainerSummary()
        container.Id = String(repeating: "4c", count: 32)
        container.Image = "debian:bookworm"
        container.Command = "sh -c 'while true; do sleep 1; done'"
        container.Created = Int64(Date().timeIntervalSince1970) - 7300
        container.Status = "Up 2 hours"
        container.Names = ["/web", "/other/link"]
        container.Labels = ["a.b": "c"]
        let rows = ContainerRows(truncates: true, showsSize: false)
        let text = try rows.listing([container]).render(format: "", usual: rows.usual)
        #expect(
            text == """
                CONTAINER ID   IMAGE             COMMAND                  CREATED       STATUS       PORTS     NAMES
                4c4c4c4c4c4c   debian:bookworm   "sh -c 'while true; …"   2 hours ago   Up 2 hours             web

                """)
        let custom = try rows.listing([container]).render(format: #"table {{.Names}}\t{{.Label "a.b"}}"#, usual: "")
        #expect(custom == "NAMES     b\nweb       c\n")
    }

    @Test("neighbouring ports are drawn together")
    func ports() {
        func port(_ inner: UInt16, _ outer: UInt16?, _ address: String?, _ proto: String = "tcp") -> PortSummary {
            var port = PortSummary()
            (port.PrivatePort, port.PublicPort, port.IP, port.Type) = (inner, outer, address, proto)
            return port
        }
        let text = PortText.text([
            port(80, 8080, "0.0.0.0"), port(80, 8080, "::"), port(443, nil, nil), port(444, nil, nil),
            port(90, 90, "0.0.0.0", "udp"), port(91, 91, "0.0.0.0", "udp"),
        ])
        #expect(text == "0.0.0.0:90-91->90-91/udp, 443-444/tcp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp")
    }

    @Test("JSON as Docker indents it")
    func json() throws {
        var text = ""
        JSONText.write(try JSONValue.parse(Array(#"[{"a":[],"b":{"c":1},"d":null}]"#.utf8)), into: &text, level: 0)
        #expect(text == "[\n    {\n        \"a\": [],\n        \"b\": {\n            \"c\": 1\n        },\n        \"d\": null\n    }\n]")
    }

    @Test("filters become a JSON object of lists")
    func filters() throws {
        #expect(try Filters.query(["label=a=b", "label=c", "status=exited"]) == #"{"label":["a=b","c"],"status":["exited"]}"#)
    }

    @Test("progress without a terminal shows no bars, with one it renews lines in place")
    func progress() {
        var message = JSONMessage()
        message.id = "a"
        message.status = "Downloading"
        message.progressDetail = JSONMessage.ProgressDetail()
        message.progressDetail?.current = 5
        message.progressDetail?.total = 10
        var plain = ProgressLines(isTerminal: false)
        #expect(plain.text(for: message) == "")
        var lines = ProgressLines(isTerminal: true)
        #expect(lines.text(for: message).hasSuffix("5B/10B\n"))
        #expect(lines.text(for: message).hasPrefix("\u{1B}[1A"))
    }
}
