import OCI
import Store
import Testing

@testable import Builder

@Suite("Planning a build")
struct PlanTests {
    func plan(_ text: String) throws -> BuildPlan {
        try BuildPlan(try parse(text))
    }

    func message(_ text: String) -> String {
        do {
            _ = try plan(text)
            return "no error"
        } catch {
            return "\(error)"
        }
    }

    @Test(
        "a wrong instruction is refused with its line and what was expected",
        arguments: [
            ("FROM a b\n", "line 1: FROM requires either one or three arguments"),
            ("FROM a AS 1x\n", "line 1: invalid name for build stage: \"1x\", name can't start with a number or contain symbols"),
            ("FROM a\n\nFOO bar\n", "line 3: unknown instruction: FOO (did you mean FROM?)"),
            ("RUN x\nFROM a\n", "line 1: no build stage in current context"),
            ("FROM a\nCOPY x\n", "line 2: COPY requires at least two arguments, but only one was provided. Destination could not be determined"),
            ("FROM a\nCOPY --foo=1 x y\n", "line 2: unknown flag: --foo"),
            ("FROM a\nCOPY --chown=1 --chown=2 x y\n", "line 2: duplicate flag specified: --chown"),
            ("FROM a\nRUN --mount=type=cach,target=/x true\n", "line 2: unsupported mount type \"cach\" (did you mean cache?)"),
            (
                "FROM a\nRUN --mount=type=bind,from=$X,target=/x true\n",
                "line 2: 'from' doesn't support variable expansion, define alias stage instead"
            ),
            ("FROM a\nRUN --mount=type=cache true\n", "line 2: invalid mount target \"\""),
            ("FROM a\nRUN\n", "line 2: RUN requires at least one argument"),
            ("FROM a\nENV =x\n", "line 2: ENV names can not be blank"),
            ("FROM a\nSHELL /bin/bash -c\n", "line 2: SHELL requires the arguments to be in JSON form"),
            ("FROM a\nONBUILD FROM b\n", "line 2: FROM isn't allowed as an ONBUILD trigger"),
            ("FROM a\nONBUILD ONBUILD RUN x\n", "line 2: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
            ("FROM a\nHEALTHCHECK FOO\n", "line 2: Unknown type \"FOO\" in HEALTHCHECK (try CMD)"),
            ("FROM a\nHEALTHCHECK --interval=1us CMD x\n", "line 2: Interval \"interval\" cannot be less than 1ms"),
            ("FROM a\nVOLUME [\"\"]\n", "line 2: VOLUME specified can not be an empty string"),
            ("FROM a\nWORKDIR\n", "line 2: WORKDIR requires exactly one argument"),
        ])
    func refusals(text: String, expected: String) {
        #expect(message(text) == "dockerfile parse error on " + expected)
    }

    @Test("only the stages that the target rests on are built")
    func needed() throws {
        let plan = try plan(
            """
            FROM a AS base
            FROM b AS unused
            FROM base AS Tools
            FROM c
            COPY --from=tools /x /x
            FROM d AS last
            COPY --from=3 /x /x
            COPY --from=image:1 /y /y
            """)
        #expect(plan.needed(for: 4) { $0.base } == [0, 2, 3, 4])
        #expect(plan.needed(for: 2) { $0.base } == [0, 2])
        #expect(plan.needed(for: 3, apartFrom: ["tools"]) { $0.base } == [3])
        #expect(try plan.target("TOOLS") == 2)
        #expect(try plan.target("1") == 1)
        #expect(try plan.target(nil) == 4)
        #expect(throws: BuildError.invalid("failed to reach build target nope in Dockerfile")) { try plan.target("nope") }
    }

    @Test("a stage cannot name itself or a later one")
    func noForwardReferences() throws {
        let plan = try plan("FROM a AS one\nCOPY --from=two /x /x\nFROM b AS two\n")
        #expect(plan.stage(named: "two", before: 0) == nil)
        #expect(plan.needed(for: 0) { $0.base } == [0])
    }

    @Test("an argument is worth what the client says, else its default, else the global one")
    func arguments() {
        var arguments = BuildArguments(given: ["A": "given", "EXTRA": "x", "HTTP_PROXY": "p", "NONE": nil])
        arguments.declareGlobal("G", "global")
        arguments.beginStage()
        #expect(arguments.declared.isEmpty)
        #expect(arguments.declare("A", "default") == "given")
        #expect(arguments.declare("B", "default") == "default")
        #expect(arguments.declare("G", nil) == "global")
        #expect(arguments.declare("U", nil) == nil)
        #expect(arguments.declare("TARGETOS", nil) == "linux")
        #expect(arguments.declared == ["A": "given", "B": "default", "G": "global", "TARGETOS": "linux"])
        #expect(arguments.visible["HTTP_PROXY"] == "p")
        #expect(arguments.unused == ["EXTRA"])
    }

    @Test("a here-document is the script, or the shell reads it itself")
    func heredocs() throws {
        let plan = try plan("FROM a\nRUN <<EOF\none\ntwo\nEOF\nRUN cat <<EOF > /x\nbody\nEOF\nRUN <<-EOF sh -e\n\tbody\n\tEOF\n")
        #expect(
            plan.stages[0].steps.map(\.kind) == [
                .run(RunCommand(form: .shell("one\ntwo\n"))),
                .run(RunCommand(form: .shell("cat <<EOF > /x\nbody\nEOF"))),
                .run(RunCommand(form: .shell("<<-EOF sh -e\nbody\nEOF"))),
            ])
    }

    @Test("ports, lengths of time and owners are read strictly")
    func values() throws {
        #expect(try ExposedPorts.parse("80") == ["80/tcp"])
        #expect(try ExposedPorts.parse("7000-7002/UDP") == ["7000/udp", "7001/udp", "7002/udp"])
        for wrong in ["x", "70000", "2-1", "80/icmp", "-1", ""] {
            #expect(throws: BuildError.self) { try ExposedPorts.parse(wrong) }
        }
        #expect(GoDuration.nanoseconds("1h30m") == 5_400_000_000_000)
        #expect(GoDuration.nanoseconds("1.5s") == 1_500_000_000)
        #expect(GoDuration.nanoseconds("300ms") == 300_000_000)
        #expect(GoDuration.nanoseconds("5") == nil)
        #expect(GoDuration.nanoseconds("99999999999h") == nil)
    }
}

@Suite("Cache keys and configuration steps")
struct StateTests {
    func step(_ text: String, on state: ImageState = ImageState(), arguments: [String: String] = [:]) throws -> ConfigStep {
        let instruction = try parse("FROM x\n" + text + "\n").instructions[1]
        let expand = Expander(arguments: arguments, environment: state.environment, escape: "\\")
        return try #require(
            try ConfigStep(try InstructionCheck.step(instruction).kind, on: state, text: instruction.text, expand: expand))
    }

    @Test("lists that look alike give different keys")
    func keys() {
        func key(_ parts: [String], parent: Digest? = nil) -> String {
            var key = CacheKey("run", parent: parent)
            key.add(parts)
            return key.text
        }
        #expect(key(["ab", "c"]) != key(["a", "bc"]))
        #expect(key(["a", "b"]) != key(["ab"]))
        #expect(key(["a"]) == key(["a"]))
        #expect(key(["a"]) != key(["a"], parent: Digest.sha256(of: [1])))
    }

    @Test("ENTRYPOINT takes an inherited CMD away, not the stage's own")
    func entrypoint() throws {
        var inherited = ImageState()
        inherited.container.cmd = ["base"]
        #expect(try step("ENTRYPOINT [\"/e\"]", on: inherited).state.container.cmd == nil)
        let own = try step("CMD world", on: inherited).state
        let both = try step("ENTRYPOINT [\"/bin/echo\", \"Hello\"]", on: own)
        #expect(both.state.container.cmd == ["/bin/sh", "-c", "world"])
        #expect(both.comment == "ENTRYPOINT [\"/bin/echo\" \"Hello\"]")
    }

    @Test("ENV reads all its variables before it sets any, in both forms")
    func env() throws {
        let first = try step("ENV PORT 8001").state
        let second = try step("ENV PORT=9 OLD=$PORT", on: first).state
        #expect(second.container.env == ["PORT=9", "OLD=8001"])
        #expect(try step("EXPOSE $PORT $PORT/udp", on: first).state.container.exposedPorts == ["8001/tcp", "8001/udp"])
        #expect(try step("ENV A=\"b c\" D='$PORT'", on: first).comment == "ENV A=b c D=$PORT")
    }

    @Test("the environment of the image beats an argument of the same name")
    func environmentBeatsArguments() throws {
        let state = try step("ENV V=env").state
        #expect(try step("USER $V$A", on: state, arguments: ["V": "arg", "A": "x"]).state.container.user == "envx")
    }

    @Test("SHELL changes the shell forms that follow")
    func shell() throws {
        let state = try step("SHELL [\"/bin/bash\", \"-c\"]").state
        #expect(try step("CMD a b", on: state).state.container.cmd == ["/bin/bash", "-c", "a b"])
    }

    @Test("HEALTHCHECK, VOLUME, LABEL, STOPSIGNAL and ONBUILD land in the configuration")
    func others() throws {
        let health = try step("HEALTHCHECK --interval=5s --retries=3 CMD curl x").state.container.healthcheck
        #expect(health?.test == ["CMD-SHELL", "curl x"])
        #expect(health?.interval == 5_000_000_000)
        #expect(health?.retries == 3)
        #expect(try step("HEALTHCHECK NONE").state.container.healthcheck?.test == ["NONE"])
        #expect(try step("VOLUME [\"/a\", \"/b\"]").state.container.volumes == ["/a", "/b"])
        #expect(try step("LABEL a=1 \"b c\"=2").state.container.labels == ["a": "1", "b c": "2"])
        #expect(try step("STOPSIGNAL SIGQUIT").state.container.stopSignal == "SIGQUIT")
        #expect(throws: BuildError.invalid("Invalid signal: FOO")) { try step("STOPSIGNAL FOO") }
        #expect(try step("ONBUILD COPY . /app").state.container.onBuild == ["COPY . /app"])
        #expect(try step("MAINTAINER me <m@e>").state.config.author == "me <m@e>")
    }
}
