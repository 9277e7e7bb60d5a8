import DockerAPI
import FoundationEssentials
import Testing

@Suite("wire format")
struct WireFormatTests {
    private func decode<T: Decodable>(_ type: T.Type, _ json: String) throws -> T {
        try JSONDecoder().decode(type, from: Data(json.utf8))
    }

    private func encode(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    @Test("what Docker's client sends for `run` is understood")
    func createRequest() throws {
        let request = try decode(
            ContainerCreateRequest.self,
            #"""
            {"Hostname":"","AttachStdout":true,"ExposedPorts":{"80/tcp":{}},"Tty":false,"OpenStdin":true,"Env":["A=b"],
             "Cmd":["sh","-c","true"],"Image":"debian","Volumes":{},"Entrypoint":null,"Labels":{"a":"b"},
             "HostConfig":{"Binds":["/a:/b:ro"],"PortBindings":{"80/tcp":[{"HostIp":"","HostPort":"8080"}]},
              "RestartPolicy":{"Name":"on-failure","MaximumRetryCount":3},"AutoRemove":true,"ConsoleSize":[24,80],
              "Memory":268435456,"NanoCpus":1500000000,"PidsLimit":64,"Mounts":[{"Type":"bind","Source":"/a","Target":"/b"}],
              "LogConfig":{"Type":"","Config":{}},"OomKillDisable":null},
             "NetworkingConfig":{"EndpointsConfig":{"back":{"Aliases":["db"]}}},"Unknown":1}
            """#)
        #expect(request.Cmd?.values == ["sh", "-c", "true"])
        #expect(request.Entrypoint == nil)
        #expect(request.ExposedPorts?.keys.sorted() == ["80/tcp"])
        #expect(request.HostConfig?.PortBindings?["80/tcp"]??.first?.HostPort == "8080")
        #expect(request.HostConfig?.RestartPolicy?.MaximumRetryCount == 3)
        #expect(request.HostConfig?.Memory == 256 << 20)
        #expect(request.HostConfig?.Mounts?.first?.Type == "bind")
        #expect(request.NetworkingConfig?.EndpointsConfig?["back"]?.Aliases == ["db"])
    }

    @Test("a command may come as one string and is always sent as a list")
    func commandAsString() throws {
        let config = try decode(ContainerConfig.self, #"{"Cmd":"top","Entrypoint":["a","b"]}"#)
        #expect(config.Cmd?.values == ["top"])
        #expect(try encode(config) == #"{"Cmd":["top"],"Entrypoint":["a","b"]}"#)
    }

    @Test("a port that is exposed only stays null")
    func exposedPort() throws {
        let settings = try decode(NetworkSettings.self, #"{"Ports":{"80/tcp":[{"HostIp":"::","HostPort":"1"}],"9/udp":null}}"#)
        #expect(settings.Ports?.count == 2)
        let exposed: [PortBinding]? = settings.Ports?["9/udp"] ?? nil
        #expect(exposed == nil)
        #expect(
            try encode(settings) == #"{"Ports":{"80/tcp":[{"HostIp":"::","HostPort":"1"}],"9/udp":null}}"#)
    }

    @Test("what is not set does not appear")
    func leavesOutNil() throws {
        #expect(try encode(HostConfig()) == "{}")
        var state = ContainerState()
        state.Status = "running"
        state.ExitCode = 0
        #expect(try encode(state) == #"{"ExitCode":0,"Status":"running"}"#)
    }

    @Test("a line of a build's progress is understood")
    func progress() throws {
        let aux = try decode(JSONMessage.self, #"{"aux":{"ID":"sha256:1"}}"#)
        #expect(aux.aux?.ID == "sha256:1")
        let error = try decode(JSONMessage.self, #"{"errorDetail":{"code":3,"message":"no"},"error":"no"}"#)
        #expect(error.errorDetail?.code == 3)
        let pull = try decode(
            JSONMessage.self, #"{"status":"Downloading","id":"a","progressDetail":{"current":1,"total":2},"progress":"x"}"#)
        #expect(pull.progressDetail?.total == 2)
    }

    @Test("counters of 64 bits without a sign are understood")
    func stats() throws {
        let stats = try decode(
            ContainerStatsResponse.self, #"{"memory_stats":{"limit":18446744073709551615,"stats":{"a":1}},"networks":{}}"#)
        #expect(stats.memory_stats?.limit == .max)
    }
}
