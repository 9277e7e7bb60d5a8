import DockerAPI
import FoundationEssentials
import Linux
import Logging
import OCI
import SystemPackage
import Testing

@testable import Engine

@Suite("devices by their names")
struct DeviceTests {
    @Test("the part of YAML that programs write")
    func yaml() throws {
        let text = """
            ---
            # made by a tool
            cdiVersion: 0.6.0
            kind: "acme.com/gpu"   # the kind
            containerEdits:
              env:
              - A=1
              - 'B=it''s # two'
              - "C=a \\" # b"  # three
              hooks:
              - hookName: createContainer
                path: /bin/true
                args: [true, "--flag", 'a b']
              empty: []
            devices:
            - name: "0"
              containerEdits:
                deviceNodes:
                  - path: /dev/null
                    fileMode: 0666
                    major: 1
                    on: false
                  -
                    path: /dev/zero
            nothing:
            """
        let value = try PlainYAML.parse(Array(text.utf8))
        #expect(value["cdiVersion"] == "0.6.0")
        #expect(value["kind"] == "acme.com/gpu")
        #expect(value["containerEdits"]?["env"] == ["A=1", "B=it's # two", #"C=a " # b"#])
        #expect(value["containerEdits"]?["hooks"]?.array?[0]["args"] == [true, "--flag", "a b"])
        #expect(value["containerEdits"]?["empty"] == [])
        let nodes = value["devices"]?.array?[0]["containerEdits"]?["deviceNodes"]?.array
        #expect(nodes?.count == 2)
        #expect(nodes?[0]["fileMode"] == 438)
        #expect(nodes?[0]["on"] == false)
        #expect(nodes?[1]["path"] == "/dev/zero")
        #expect(value["nothing"] == .null)
    }

    @Test(
        "what is beyond it is refused",
        arguments: [
            "a: &b c", "a: |\n  text", "a: {b: c}", "a: !tag x", "\ta: b", "a: b\n  c: d\n e: f", "a: 'x", "a: [1", "a: 1\na: 2", "a: \"x\" y",
        ])
    func yamlRefused(text: String) {
        #expect(throws: JSONError.self) { try PlainYAML.parse(Array(text.utf8)) }
    }

    @Test(
        "names of devices",
        arguments: [
            ("acme.com/gpu=0", true), ("a/b=c", true), ("/dev/null", false), ("a/b", false), ("a=b", false), ("a/b/c=d", false), ("a/b=", false),
        ])
    func names(text: String, isName: Bool) {
        #expect((CDIName(text) != nil) == isName)
    }

    private func withFiles(_ files: [String: String], _ body: (CDIDevices) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.path + "/cdi-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: folder) }  // Only clean-up.
        for (name, text) in files {
            let path = FilePath(folder).appending(FilePath(name).components)
            try makeDirectories(path.removingLastComponent())
            try writeAtomically(Array(text.utf8), to: path, sync: false)
        }
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        try body(CDIDevices(directories: [FilePath(folder).appending("a"), FilePath(folder).appending("b"), "/nonexistent"], logger: logger))
    }

    private static let gpus = """
        {"cdiVersion": "0.6.0", "kind": "nvidia.com/gpu", "containerEdits": {"env": ["ALL=1"]},
         "devices": [{"name": "0", "containerEdits": {"env": ["DEVICE=0"]}}, {"name": "1", "containerEdits": {"env": ["DEVICE=1"]}},
                     {"name": "all", "containerEdits": {"env": ["DEVICE=all"]}}]}
        """

    private func request(_ driver: String = "", count: Int? = nil, ids: [String]? = nil, _ capabilities: [String] = ["gpu"]) -> DeviceRequest {
        var request = DeviceRequest()
        (request.Driver, request.Count, request.DeviceIDs, request.Capabilities) = (driver, count, ids, [capabilities])
        return request
    }

    @Test("a device brings its own edits and those of its file, once")
    func edits() throws {
        try withFiles(["a/gpu.json": Self.gpus, "a/broken.json": "{", "a/readme.txt": "x"]) { devices throws in
            #expect(devices.names() == ["nvidia.com/gpu=0", "nvidia.com/gpu=1", "nvidia.com/gpu=all"])
            let cdi = request("cdi", ids: ["nvidia.com/gpu=0", "nvidia.com/gpu=1"])
            #expect(try devices.edits(for: [cdi])?.map(\.env) == [["ALL=1"], ["DEVICE=0"], ["DEVICE=1"]])
            #expect(try devices.edits(for: [request(count: -1)])?.last?.env == ["DEVICE=all"])
            #expect(try devices.edits(for: [request(count: 1)])?.last?.env == ["DEVICE=0"])
            #expect(try devices.edits(for: [request("nvidia", ids: ["1"])])?.last?.env == ["DEVICE=1"])
            #expect(try devices.edits(for: []) == nil)
        }
    }

    @Test("a later directory wins, and two files of one directory contradict each other")
    func priorities() throws {
        let other = Self.gpus.replacing("DEVICE=0", with: "DEVICE=zero")
        try withFiles(["a/gpu.json": Self.gpus, "b/gpu.json": other]) { devices throws in
            #expect(try devices.edits(for: [request(ids: ["0"])])?.last?.env == ["DEVICE=zero"])
        }
        try withFiles(["a/gpu.json": Self.gpus, "a/gpu2.json": other]) { devices throws in
            let error = #expect(throws: EngineError.self) { try devices.edits(for: [request(ids: ["0"])]) }
            #expect(error?.message == "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=0")
        }
    }

    @Test("requests that nobody can answer get Docker's words")
    func unanswered() throws {
        try withFiles([:]) { devices throws in
            let error = #expect(throws: EngineError.self) { try devices.edits(for: [request(count: -1, ["gpu", "compute"])]) }
            #expect(error?.message == "could not select device driver \"\" with capabilities: [[gpu compute]]")
        }
        try withFiles(["a/gpu.json": Self.gpus]) { devices throws in
            let missing = #expect(throws: EngineError.self) { try devices.edits(for: [request("cdi", ids: ["acme.com/x=1", "nvidia.com/gpu=9"])]) }
            #expect(missing?.message == "CDI device injection failed: unresolvable CDI devices acme.com/x=1, nvidia.com/gpu=9")
            #expect(throws: EngineError.self) { try devices.edits(for: [request("amd", count: 1)]) }
            #expect(throws: EngineError.self) { try devices.edits(for: [request(count: 5)]) }
        }
    }

    @Test("edits reach the configuration of the runtime")
    func applied() throws {
        let file = try CDISpecification(
            JSONValue.parse(
                Array(
                    #"{"cdiVersion":"0.5.0","kind":"a.com/b","devices":[{"name":"x","containerEdits":{"env":["A=2"],"deviceNodes":[{"path":"/dev/mine","hostPath":"/dev/null","permissions":"rw"}],"mounts":[{"hostPath":"/etc/hostname","containerPath":"/m","options":["ro"]}],"hooks":[{"hookName":"createContainer","path":"/h","args":["h","1"]}],"additionalGids":[7]}}]}"#
                        .utf8)))
        var spec = RuntimeSpec(process: RuntimeSpec.Process(env: ["A=1", "B=1"]), linux: RuntimeSpec.Linux(resources: RuntimeSpec.Resources()))
        try spec.apply([file.edits, file.devices[0].edits])
        #expect(spec.process.env == ["B=1", "A=2"])
        #expect(spec.process.user.additionalGids == [7])
        #expect(spec.mounts == [RuntimeSpec.Mount(destination: "/m", type: "bind", source: "/etc/hostname", options: ["rbind", "ro"])])
        #expect(spec.hooks?.createContainer == [RuntimeSpec.Hook(path: "/h", args: ["h", "1"], env: [])])
        #expect(spec.linux.devices.map(\.path) == ["/dev/mine"])
        #expect(spec.linux.devices.first?.major == 1)
        #expect(spec.linux.resources?.devices == [RuntimeSpec.DeviceRule(allow: true, type: "c", major: 1, minor: 3, access: "rw")])
    }

    @Test(
        "files that cannot be meant are refused",
        arguments: [
            "{}", #"{"cdiVersion":"1","kind":"nokind","devices":[{"name":"x"}]}"#, #"{"cdiVersion":"1","kind":"a/b","devices":[]}"#,
            #"{"cdiVersion":"1","kind":"a/b","devices":[{"name":"x","containerEdits":{"hooks":[{"hookName":"poststop","path":"/x"}]}}]}"#,
            #"{"cdiVersion":"1","kind":"a/b","devices":[{"name":"x","containerEdits":{"deviceNodes":[{"path":"dev"}]}}]}"#,
            #"{"cdiVersion":"1","kind":"a/b","devices":[{"name":"x","containerEdits":{"unknown":1}}]}"#,
        ])
    func refusedFiles(text: String) throws {
        let document = try JSONValue.parse(Array(text.utf8))
        #expect(throws: JSONError.self) { try CDISpecification(document) }
    }
}
