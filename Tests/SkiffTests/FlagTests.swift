import Testing

@testable import SkiffCommands

@Suite("command line")
struct FlagTests {
    private let interactive = Flag<Bool>.toggle("interactive", short: "i", "")
    private let tty = Flag<Bool>.toggle("tty", short: "t", "")
    private let proxy = Flag<Bool>.toggle("sig-proxy", initially: true, "")
    private let env = Flag<[String]>.list("env", short: "e", "")
    private let publish = Flag<[String]>.list("publish", short: "p", "")
    private let memory = Flag<Int64?>.bytes("memory", short: "m", "")

    private func parse(_ words: String..., stops: Bool = true) throws -> FlagParser.Parsed {
        try FlagParser(flags: [interactive, tty, proxy, env, publish, memory], stopsAtFirstArgument: stops).parse(words)
    }

    @Test("switches stand together, values may be joined")
    func joined() throws {
        let parsed = try parse("-it", "-p8080:80", "-eA=b", "-e=C=d", "--memory=1g", "--env", "E=f", "image", "-x", "--rm")
        #expect(parsed.values[interactive])
        #expect(parsed.values[tty])
        #expect(parsed.values[publish] == ["8080:80"])
        #expect(parsed.values[env] == ["A=b", "C=d", "E=f"])
        #expect(parsed.values[memory] == 1 << 30)
        #expect(parsed.arguments == ["image", "-x", "--rm"])
    }

    @Test("a switch followed by others may end in a flag with a value")
    func switchesThenValue() throws {
        let parsed = try parse("-itp", "80:80", "image")
        #expect(parsed.values[tty])
        #expect(parsed.values[publish] == ["80:80"])
    }

    @Test("a switch can be turned off")
    func falseSwitch() throws {
        #expect(try parse("image").values[proxy])
        #expect(try !parse("--sig-proxy=false", "image").values[proxy])
    }

    @Test("two dashes end the flags")
    func dashes() throws {
        #expect(try parse("-i", "--", "-t", "x").arguments == ["-t", "x"])
        #expect(try parse("a", "-t", "b", stops: false).arguments == ["a", "b"])
        #expect(try parse("-", stops: false).arguments == ["-"])
    }

    @Test(
        "mistakes are told in Docker's words",
        arguments: [
            (["--foo"], "unknown flag: --foo"), (["-z"], "unknown shorthand flag: 'z' in -z"),
            (["--env"], "flag needs an argument: --env"), (["-m"], "flag needs an argument: 'm' in -m"),
            (["-m", "abc"], "invalid argument \"abc\" for \"-m, --memory\" flag: invalid size: 'abc'"),
        ])
    func mistakes(words: [String], message: String) {
        let parser = FlagParser(flags: [interactive, env, memory], stopsAtFirstArgument: true)
        #expect(throws: UsageError(message)) { try parser.parse(words) }
    }

    @Test("the number of arguments is checked in Docker's words")
    func counts() {
        #expect(ArgumentCount.atLeast(1).complaint(about: 0) == "requires at least 1 argument")
        #expect(ArgumentCount.exactly(2).complaint(about: 1) == "requires 2 arguments")
        #expect(ArgumentCount.none.complaint(about: 1) == "accepts no arguments")
        #expect(ArgumentCount.between(1, 2).complaint(about: 3) == "requires at least 1 and at most 2 arguments")
        #expect(ArgumentCount.atMost(1).complaint(about: 1) == nil)
    }

    @Test("every command has a help text and no flag twice")
    func commandsAreSound() {
        let entries = CommandTree.topLevel + CommandTree.groups.flatMap(\.entries)
        for command in entries.map({ $0.make() }) {
            let names = command.flags.map(\.name)
            #expect(Set(names).count == names.count, "\(command.name)")
            let shorts = command.flags.compactMap(\.short)
            #expect(Set(shorts).count == shorts.count, "\(command.name)")
            #expect(Help.text(command, path: "skiff x", spellings: []).hasPrefix("Usage:  skiff x"))
        }
    }
}
