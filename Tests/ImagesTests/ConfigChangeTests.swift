import Images
import OCI
import Testing

@Suite struct ConfigChangeTests {
    private func apply(_ changes: String...) throws -> ImageConfig.Config {
        var config = ImageConfig.Config(env: ["PATH=/bin", "A=1"], workingDir: "/w")
        try config.apply(changes: changes)
        return config
    }

    @Test("each instruction sets what a Dockerfile would set")
    func instructions() throws {
        let config = try apply(
            #"CMD ["a", "b c"]"#, "env A=2 B=\"x y\"", "ENV C d e", "EXPOSE 80 53/udp", #"LABEL k="v w" l=m"#, "USER me",
            #"VOLUME ["/a", "/b"]"#, "VOLUME /c", "WORKDIR sub", "STOPSIGNAL SIGINT", "ONBUILD RUN x")
        #expect(config.cmd == ["a", "b c"])
        #expect(config.env == ["PATH=/bin", "A=2", "B=x y", "C=d e"])
        #expect(config.exposedPorts == ["80/tcp", "53/udp"])
        #expect(config.labels == ["k": "v w", "l": "m"])
        #expect(config.user == "me")
        #expect(config.volumes == ["/a", "/b", "/c"])
        #expect(config.workingDir == "/w/sub")
        #expect(config.stopSignal == "SIGINT")
        #expect(config.onBuild == ["RUN x"])
    }

    @Test("a command that is no JSON is for the shell, and an entry point takes the command away")
    func commands() throws {
        #expect(try apply("CMD echo hi").cmd == ["/bin/sh", "-c", "echo hi"])
        let config = try apply("CMD x", #"ENTRYPOINT ["e"]"#)
        #expect(config.entrypoint == ["e"])
        #expect(config.cmd == nil)
    }

    @Test("other instructions and broken ones are refused", arguments: ["RUN x", "FROM a", "ENV", "ENV A", "LABEL a=b c", "LABEL \"x"])
    func refuses(_ change: String) {
        #expect(throws: ImageError.self) { try apply(change) }
    }
}
