import BuildContext
import Testing

@testable import Builder

@Suite("Warnings about a Dockerfile")
struct LintTests {
    func warnings(_ text: String, ignoring lines: [String] = [], environment: [String: String]? = [:], check: String = "") throws
        -> [String]
    {
        let file = try parse(text)
        let plan = try BuildPlan(file)
        let options = try LintOptions(check.isEmpty ? file.check ?? "" : check)
        var lint = Lint(file: file, plan: plan, options: options, ignored: try IgnorePatterns(lines: lines))
        for index in plan.stages.indices { lint.environments[index] = environment }
        return lint.run().map(\.description)
    }

    @Test(
        "each rule finds what it is for and says it in BuildKit's words",
        arguments: [
            ("FROM scratch AS Base", "StageNameCasing: Stage name 'Base' should be lowercase (line 1)"),
            ("FROM scratch as base", "FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)"),
            ("FROM scratch\nCOPY a \\\n\n b /", "NoEmptyContinuation: Empty continuation line (line 3)"),
            (
                "FROM scratch\nrun a\nUSER b",
                "ConsistentInstructionCasing: Command 'run' should match the case of the command majority (uppercase) (line 2)"
            ),
            (
                "FROM scratch AS a\nFROM scratch AS a",
                "DuplicateStageName: Duplicate stage name \"a\", stage names should be unique (line 2)"
            ),
            (
                "FROM scratch AS context",
                "ReservedStageName: Stage name should not use the same name as reserved stage \"context\" (line 1)"
            ),
            (
                "FROM scratch\nCMD a b",
                "JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals (line 2)"
            ),
            (
                "FROM scratch\nMAINTAINER me",
                "MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 2)"
            ),
            (
                "ARG VERSION=1\nFROM x:${VERSIO}",
                "UndefinedArgInFrom: FROM argument 'VERSIO' is not declared (did you mean VERSION?) (line 2)"
            ),
            (
                "FROM x\nWORKDIR app",
                "WorkdirRelativePath: Relative workdir \"app\" can have unexpected results if the base image changes (line 2)"
            ),
            ("FROM x\nARG foo\nCOPY $fo .", "UndefinedVar: Usage of undefined variable '$fo' (did you mean $foo?) (line 3)"),
            (
                "FROM x\nCMD [\"a\"]\nCMD [\"b\"]",
                "MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same stage because only the last one will be used (line 2)"
            ),
            (
                "FROM x\nENV a b",
                "LegacyKeyValueFormat: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format (line 2)"
            ),
            (
                "FROM --platform=$TARGETPLATFORM x",
                "RedundantTargetPlatform: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior (line 1)"
            ),
            (
                "FROM x\nARG AWS_SECRET_KEY",
                "SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG \"AWS_SECRET_KEY\") (line 2)"
            ),
            (
                "ARG TAG\nFROM x:$TAG",
                "InvalidDefaultArgInFrom: Default value for ARG x:$TAG results in empty or invalid base image name (line 2)"
            ),
            (
                "FROM --platform=linux/amd64 x",
                "FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value \"linux/amd64\" (line 1)"
            ),
            (
                "FROM x\nCOPY ./tmp/f /",
                "CopyIgnoredFile: Attempting to Copy file \"./tmp/f\" that is excluded by .dockerignore (line 2)"
            ),
            (
                "FROM x\nEXPOSE 80/TCP",
                "ExposeProtoCasing: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase (line 2)"
            ),
            (
                "FROM x\nEXPOSE 127.0.0.1:80:80",
                "ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80' (line 2)"
            ),
        ])
    func rules(text: String, expected: String) throws {
        #expect(try warnings(text + "\n", ignoring: ["tmp"]) == [expected])
    }

    @Test(
        "what is meant as it stands gives no warning",
        arguments: [
            "FROM scratch AS base\nFROM base\nWORKDIR app\nCMD [\"a\"]\nHEALTHCHECK NONE\n",
            "from scratch as base\ncopy a /\n",
            "ARG V=1\nFROM x:$V AS a\nSHELL [\"/bin/bash\", \"-c\"]\nENTRYPOINT a\nENV PUBLIC_KEY=1 a=$PATH\n",
            "FROM --platform=$BUILDPLATFORM x\nARG V\nWORKDIR /app\nWORKDIR rel\nCOPY $V $HTTP_PROXY /\n",
            "FROM --platform=linux/amd64 x AS build_amd64\nEXPOSE 80/tcp 443\n",
        ])
    func nothing(text: String) throws {
        #expect(try warnings(text, environment: ["PATH": "/bin"]) == [])
    }

    @Test("variables of a base image that is not known are not judged")
    func unknownBase() throws {
        #expect(try warnings("FROM x\nUSER $ME\n", environment: nil) == [])
    }

    @Test("rules are left out, asked for and made errors by the check directive")
    func options() throws {
        #expect(try warnings("# check=skip=JSONArgsRecommended\nFROM scratch\nCMD a\n") == [])
        #expect(try warnings("# check=skip=all\nFROM scratch AS Base\nCMD a\n") == [])
        #expect(try LintOptions("skip=all;error=true").isError)
        #expect(throws: BuildError.self) { try LintOptions("error=perhaps") }
        #expect(throws: BuildError.self) { try LintOptions("what") }
        let text = "# check=experimental=InvalidDefinitionDescription\n\n# what it is\nFROM scratch AS base\n# V is fine\nARG V\n"
        #expect(
            try warnings(text) == [
                "InvalidDefinitionDescription: Comment for build stage should follow the format: `# base <description>` (line 4)"
            ])
    }
}
