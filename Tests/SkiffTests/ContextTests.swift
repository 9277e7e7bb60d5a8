import EngineClient
import FoundationEssentials
import OCI
import SystemPackage
import Testing

@testable import SkiffCommands

@Suite("which engine is meant")
struct ContextTests {
    private func access(_ arguments: [String] = [], _ environment: [String: String] = [:], current: String? = nil) throws -> EngineAccess {
        let global = try FlagParser(flags: GlobalFlags.all, stopsAtFirstArgument: true).parse(arguments).values
        var config = DockerConfigFile(emptyFor: environment)
        config.currentContext = current
        return try EngineAccess(global, environment, config, programName: "skiff")
    }

    @Test("flags come before the environment, and that before the configuration")
    func order() throws {
        #expect(try access().contextName == "default")
        #expect(try access(current: "kept").contextName == "kept")
        #expect(try access([], ["DOCKER_CONTEXT": "env"], current: "kept").contextName == "env")
        #expect(try access([], ["DOCKER_HOST": "tcp://a:1", "DOCKER_CONTEXT": "env"]).contextName == "default")
        #expect(try access(["-c", "flag"], ["DOCKER_HOST": "tcp://a:1"]).contextName == "flag")
        #expect(try access(["-H", "tcp://b:2"], ["DOCKER_HOST": "tcp://a:1"]).context("default").host == "tcp://b:2")
        #expect(try access([], ["DOCKER_HOST": "tcp://a:1", "SKIFF_HOST": ""]).context("default").host == "tcp://a:1")
        #expect(try access().context("default").host == "unix:///run/skiff/docker.sock")
        #expect(throws: UsageError("conflicting options: cannot specify both --host and --context")) { try access(["-H", "tcp://a", "-c", "x"]) }
    }

    @Test(
        "addresses",
        arguments: [
            ("tcp://h", EngineAddress.tcp(host: "h", port: 2375)), ("http://h:1", .tcp(host: "h", port: 1)),
            ("tcp://[::1]:2", .tcp(host: "::1", port: 2)),
            ("ssh://me@h:22/run/x.sock", .ssh(user: "me", host: "h", port: 22, socket: "/run/x.sock")),
            ("ssh://h", .ssh(user: nil, host: "h", port: nil, socket: nil)),
        ])
    func addresses(text: String, address: EngineAddress) throws {
        #expect(try EngineAddress(text) == address)
    }

    @Test(
        "what a shell or ssh would take for something else is no host",
        arguments: [
            "ssh://", "ssh://-oProxyCommand=x", "ssh://a b", "ssh://h;x", "ssh://-l@h", "ssh://u:p@h", "ssh://h:x", "ssh://h/x;y", "ssh://h/$(x)",
            "https://h:1", "foo",
        ])
    func badAddresses(text: String) {
        #expect(throws: EngineConnectionError.self) { try EngineAddress(text) }
    }

    @Test("what ssh is told")
    func ssh() throws {
        let dial = SSHDial(address: try EngineAddress("ssh://me@h:2222/run/x.sock"), remoteProgram: "skiff", environment: [:])
        #expect(
            dial.arguments == [
                "-o", "ConnectTimeout=30", "-T", "-l", "me", "-p", "2222", "--", "h", "skiff", "--host", "unix:///run/x.sock", "system", "dial-stdio",
            ])
    }

    @Test("contexts lie where Docker's lie, in its form")
    func store() throws {
        let folder = FileManager.default.temporaryDirectory.path + "/contexts-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: folder) }  // Only clean-up.
        let store = ContextStore(environment: ["DOCKER_CONFIG": folder])
        let digest = "961b6dd3ede3cb8ecbaacbd68de040cd78eb2ed5889130cceb4c49268ea4d506"
        #expect(store.metadataFolder("aa").string == "\(folder)/contexts/meta/\(digest)")
        try store.save(EngineContextMetadata(name: "aa", description: "my d", host: "tcp://1.2.3.4:2376", skipsVerification: true))
        try store.save(["ca.pem": [1, 2]], for: "aa")
        let written = try #require(FileManager.default.contents(atPath: "\(folder)/contexts/meta/\(digest)/meta.json"))
        #expect(
            String(decoding: written, as: UTF8.self)
                == #"{"Name":"aa","Metadata":{"Description":"my d"},"Endpoints":{"docker":{"Host":"tcp://1.2.3.4:2376","SkipTLSVerify":true}}}"#)
        #expect(store.all().map(\.name) == ["aa"])
        #expect(try store.certificates(of: "aa") == ["ca.pem": [1, 2]])
        try store.remove("aa")
        #expect(!store.exists("aa"))
        for name in ["default", "a", "x y", "../up", "-x", ""] { #expect(throws: CommandFailure.self) { try ContextStore.check(name) } }
    }

    @Test("settings of the configuration file")
    func settings() throws {
        let folder = FileManager.default.temporaryDirectory.path + "/config-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: folder) }  // Only clean-up.
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let text =
            #"{"psFormat":"{{.ID}}","HttpHeaders":{"X-A":"1"},"proxies":{"default":{"httpProxy":"http://p","noProxy":"x"}},"pruneFilters":["label=a"]}"#
        try Data(text.utf8).write(to: URL(filePath: "\(folder)/config.json"))
        let config = try DockerConfigFile(environment: ["DOCKER_CONFIG": folder])
        #expect(config.text("psFormat") == "{{.ID}}")
        #expect(config.headers.map(\.1) == ["1"])
        #expect(config.pruneFilters == ["label=a"])
        #expect(config.proxyVariables(host: "unix:///x").map(\.name) == ["HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"])
    }
}
