import DockerAPI
import Linux
import NIOCore
import NIOHTTP1
import OCI
import Testing

@testable import Engine
@testable import EngineServer

@Suite("how containers live and end")
struct LifeTests {
    private func exit(_ code: Int32, signal: Int32? = nil, oom: Bool = false) -> ExitRecord {
        ExitRecord(exitCode: code, signal: signal, oomKilled: oom, startedAt: nil, finishedAt: nil)
    }

    @Test("the reason of an end, in words and in fields")
    func causes() {
        let plain = ExitCause(exit(3), lastSignal: nil, outOfMemory: nil)
        #expect((plain.reason, plain.message) == (.exited, "exited with code 3"))
        let stopped = ExitCause(exit(143), lastSignal: (.terminate, .stop), outOfMemory: nil)
        #expect(stopped.message == "exited with code 143 after SIGTERM, sent by stop")
        let killed = ExitCause(exit(137, signal: 9), lastSignal: (.kill, .kill), outOfMemory: nil)
        #expect((killed.reason, killed.message) == (.signal, "killed by SIGKILL, sent by kill"))
        #expect(ExitCause(exit(139, signal: 11), lastSignal: (.kill, .kill), outOfMemory: nil).sender == nil)
        #expect(ExitCause(nil, lastSignal: nil, outOfMemory: nil).reason == .supervisorKilled)
        #expect(stopped.eventAttributes == ["exitReason": "exited", "sentBy": "stop"])
    }

    @Test("the kernel's own record of memory that ran out")
    func outOfMemory() throws {
        let record =
            "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/skiff/abc,task_memcg=/skiff/abc,task=dd,pid=42,uid=0"
        let report = try #require(OutOfMemoryReport(record, cgroup: "/skiff/abc"))
        #expect((report.limit, report.process, report.pid) == (.container, "dd", 42))
        #expect(OutOfMemoryReport(record, cgroup: "/skiff/ab") == nil)
        #expect(OutOfMemoryReport("something else", cgroup: "/skiff/abc") == nil)
        let parent = record.replacing("oom_memcg=/skiff/abc", with: "oom_memcg=/skiff")
        #expect(OutOfMemoryReport(parent, cgroup: "/skiff/abc")?.limit == .parent)
        let host = record.replacing("oom_memcg=/skiff/abc,", with: "global_oom,")
        #expect(OutOfMemoryReport(host, cgroup: "/skiff/abc")?.limit == .host)
        let cause = ExitCause(exit(137, signal: 9, oom: true), lastSignal: nil, outOfMemory: report)
        #expect((cause.reason, cause.sender) == (.outOfMemory, .kernel))
        #expect(cause.message == "the kernel killed dd (pid 42): the memory limit was reached")
    }

    private func record() -> ContainerRecord {
        var config = ContainerConfig()
        config.Labels = ["team": "red", "tier": "web"]
        config.Env = ["STAGE=test run", "SECRET=x"]
        config.Image = "busybox"
        return ContainerRecord(
            id: String(repeating: "ab", count: 32), name: "box", created: "", imageID: "sha256:" + String(repeating: "cd", count: 32), layers: [],
            config: config, hostConfig: HostConfig(), mounts: [], path: "sh", args: ["-c", "true"])
    }

    @Test("labels, variables and the tag go into every line of a log")
    func logAttributes() throws {
        var config = LogConfig()
        config.Type = "json-file"
        config.Config = ["labels": "team,nosuch", "env-regex": "^STA", "tag": "{{.Name}}/{{ .ID }}"]
        let json = try LogOptions(config).attributes.json(of: record())
        #expect(json == #"{"STAGE":"test run","tag":"box/abababababab","team":"red"}"#)
        #expect(try LogAttributes().json(of: record()) == nil)
        var entry = LogEntry(log: "text\n", stream: "stdout", time: "2026-01-02T03:04:05Z")
        entry.attrs = ["b": "x y", "a": "1&2"]
        #expect(String(buffer: entry.encoded(terminal: true, timestamps: false, details: true)) == "a=1%262,b=x+y text\n")
        config.Type = "none"
        #expect(throws: EngineError.self) { try LogOptions(config) }
        for tag in ["{{.Nosuch}}", "{{", "{{json .}}"] { #expect(throws: EngineError.self) { try LogTag(tag) } }
    }

    @Test("the journal's fields have its kind of names")
    func journal() throws {
        #expect(LogAttributes.journalName("com.example.my-label2") == "COM_EXAMPLE_MY_LABEL2")
        #expect(LogAttributes.journalName("_.x") == "X")
        var config = LogConfig()
        config.Type = "journald"
        config.Config = ["labels": "team"]
        let fields = try JSONValue.parse(Array(LogOptions(config).attributes.journalFields(of: record()).utf8))
        #expect(fields["TEAM"] == "red" && fields["CONTAINER_TAG"] == "abababababab" && fields["CONTAINER_NAME"] == "box")
        config.Config = ["max-size": "1m"]
        #expect(throws: EngineError.self) { try LogOptions(config) }
    }

    @Test("probes over the network")
    func probes() throws {
        #expect(try ProbeTarget("5432").port == 5432)
        #expect(try ProbeTarget("[::1]:80").addresses == [IPAddress("::1")].compactMap(\.self))
        let http = try HTTPProbe("http://localhost:8080/health?x=1")
        #expect((http.host, http.path, http.target.port) == ("localhost:8080", "/health?x=1", 8080))
        #expect(try HTTPProbe("http://127.0.0.1").path == "/")
        #expect(try HTTPProbe("http://127.0.0.1").target.port == 80)
        for text in ["", "x", "example.com:80", "70000", "0", "localhost"] { #expect(throws: EngineError.self) { try ProbeTarget(text) } }
        for text in ["https://localhost/", "http://example.com/", "http://a b/", "localhost:80", "http://me@localhost/", "http://localhost/\r\nX: y"]
        {
            #expect(throws: EngineError.self) { try HTTPProbe(text) }
        }
        var config = HealthConfig()
        config.Test = ["HTTP", "http://localhost:1/"]
        #expect(try HealthCheck(config, shell: nil)?.kind == .http(HTTPProbe("http://localhost:1/")))
    }

    @Test("an unhealthy end counts for its policy only, and so many times")
    func restarts() {
        func wants(_ policy: String, _ limit: Int = 0, code: Int32 = 0, unhealthy: Bool? = nil, count: Int = 0) -> Bool {
            var record = record()
            var wanted = RestartPolicy()
            (wanted.Name, wanted.MaximumRetryCount) = (policy, limit)
            record.hostConfig.RestartPolicy = wanted
            (record.state.exitCode, record.state.endedUnhealthy, record.state.restartCount) = (code, unhealthy, count)
            return Container.wantsRestart(record)
        }
        #expect(wants("on-unhealthy", unhealthy: true))
        #expect(wants("on-unhealthy", code: 1))
        #expect(!wants("on-unhealthy"))
        #expect(!wants("on-unhealthy", 2, unhealthy: true, count: 2))
        #expect(!wants("on-failure", unhealthy: true))
    }

    @Test("numbers in Prometheus' form")
    func metrics() {
        var metrics = Metrics()
        metrics.add("a_total", "counter", "Of a", [("name", "x\"y\\z\n")], 3)
        metrics.add("b", "gauge", "Of b", [], 0.5)
        metrics.add("a_total", "counter", "Of a", [("name", "w")], 4)
        #expect(
            metrics.text == """
                # HELP a_total Of a
                # TYPE a_total counter
                a_total{name="x\\"y\\\\z\\n"} 3
                a_total{name="w"} 4
                # HELP b Of b
                # TYPE b gauge
                b 0.5

                """)
    }

    @Test("frames of a WebSocket")
    func webSocket() throws {
        #expect(Array(WebSocket.encode(ByteBuffer(string: "hi"), .binary).readableBytesView) == [0x82, 2, 0x68, 0x69])
        let long = WebSocket.encode(ByteBuffer(repeating: 7, count: 300), .text)
        #expect(Array(long.readableBytesView.prefix(4)) == [0x81, 126, 1, 44])
        // RFC 6455, 5.7: "Hello", masked; and the beginning of another one.
        var bytes = ByteBuffer(bytes: [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58, 0x81])
        #expect(try WebSocket.decode(&bytes) == WebSocket.Frame(opcode: .text, payload: ByteBuffer(string: "Hello")))
        #expect(try WebSocket.decode(&bytes) == nil)
        #expect(bytes.readableBytes == 1)
        for malformed in [[0x81, 0x05], [0xF1, 0x80], [0x83, 0x80], [0x82, 0xFF, 0, 0, 1, 0, 0, 0, 0, 0]] as [[UInt8]] {
            var bytes = ByteBuffer(bytes: malformed)
            #expect(throws: EngineError.self) { try WebSocket.decode(&bytes) }
        }
        // The key and the answer of RFC 6455, 1.3.
        let headers: HTTPHeaders = ["Upgrade": "websocket", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"]
        #expect(try WebSocket.accept(headers).last?.1 == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        #expect(throws: EngineError.self) { try WebSocket.accept([:]) }
    }
}
