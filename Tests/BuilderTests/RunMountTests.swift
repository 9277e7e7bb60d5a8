import BuildContext
import Testing

@testable import Builder

@Suite("Mounts of RUN")
struct RunMountTests {
    func mount(_ text: String) throws -> RunMount {
        try RunMount(text) { text throws(BuildError) in text.replacing("$V", with: "value") }
    }

    func message(_ text: String) -> String {
        do {
            _ = try mount(text)
            return "no error"
        } catch {
            return "\(error)"
        }
    }

    @Test("each kind has its own keys and defaults")
    func kinds() throws {
        #expect(try mount("target=/x") == RunMount(kind: .bind, target: "/x", readOnly: true))
        #expect(try mount("type=bind,from=a,src=s,dst=/x,rw") == RunMount(kind: .bind, from: "a", source: "s", target: "/x"))
        let cache = try mount("type=cache,target=/x,id=$V,sharing=locked,mode=0700,uid=1,gid=2")
        #expect(
            cache == RunMount(kind: .cache, target: "/x", readOnly: false, id: "value", sharing: .locked, mode: 0o700, uid: 1, gid: 2))
        #expect(try mount("type=tmpfs,target=/x,size=1m").sizeBytes == 1 << 20)
        let secret = try mount("TYPE=secret,target=/run/a/key,required")
        #expect(secret == RunMount(kind: .secret, target: "/run/a/key", readOnly: true, id: "key", isRequired: true))
        #expect(try mount("type=secret,id=a,env=A").variable == "A")
        #expect(try mount("type=ssh").isRequired == false)
        #expect(try mount("\"target=/a,b\"").target == "/a,b")
        #expect(try mount("target=/x,ro=false").readOnly == false)
    }

    @Test(
        "what makes no sense is refused in BuildKit's words",
        arguments: [
            ("type=foo,target=/x", "unsupported mount type \"foo\""),
            ("type=cache,targe=/x", "unexpected key 'targe' in 'targe=/x' (did you mean target?)"),
            ("type=cache,target=/x,sharing=all", "unsupported sharing value \"all\""),
            ("type=bind,target=/x,sharing=locked", "invalid cache sharing set for bind mount"),
            ("type=bind,target=/x,mode=0700", "mode not allowed for \"bind\" type mounts"),
            ("type=bind,target=/x,size=1m", "unexpected key 'size' for mount type 'bind'"),
            ("type=bind,target=/x,required", "unexpected key 'required' for mount type 'bind'"),
            ("type=secret", "invalid secret mount. one of source, target required"),
            ("type=secret,id=a,source=b", "both source and id can't be set"),
            ("type=secret,id=a,from=b", "secret mount should not have a from"),
            ("type=cache,target=/x,mode=9", "invalid value 9 for mode"),
            ("type=cache,target=/x,uid=-1", "invalid value -1 for uid"),
            ("type=cache,target=/x,ro=maybe", "invalid value for ro: maybe"),
            ("type=tmpfs,target=/x,size=much", "invalid value for size: much"),
            ("type=cache,target", "invalid field 'target' must be a key=value pair"),
            ("\"target=/x", "failed to parse mount \"\\\"target=/x\" as comma-separated values"),
        ])
    func refusals(text: String, expected: String) {
        #expect(message(text) == expected)
    }

    @Test("a stage named by a mount is needed")
    func needed() throws {
        let plan = try BuildPlan(
            try parse("FROM a AS one\nFROM b AS two\nFROM c\nRUN --mount=from=one,target=/x --mount=type=cache,target=/c true\n"))
        #expect(plan.needed(for: 2) { $0.base } == [0, 2])
    }

    @Test("a here-document with an interpreter of its own is run by it")
    func script() throws {
        let plan = try BuildPlan(try parse("FROM a\nRUN <<EOF\n#!/usr/bin/env python\nprint(1)\nEOF\n"))
        let script = "#!/usr/bin/env python\nprint(1)\n"
        #expect(plan.stages[0].steps[0].kind == .run(RunCommand(form: .exec(["/dev/pipes/EOF"]), script: script)))
    }

    @Test("amounts, suggestions and lists are read")
    func values() {
        #expect(ByteAmount.bytes("64m") == 64 << 20)
        #expect(ByteAmount.bytes("1.5KiB") == 1536)
        #expect(ByteAmount.bytes("10") == 10)
        for wrong in ["", "x", "-1", "1q", "99999999999999999999p"] { #expect(ByteAmount.bytes(wrong) == nil) }
        #expect(Suggestion.nearest(to: "tarfet", among: ["target", "type"]) == "target")
        #expect(Suggestion.nearest(to: "nothing", among: ["target"]) == nil)
        #expect(CommaSeparated.values("a,\"b,c\",\"d\"\"e\",") == ["a", "b,c", "d\"e", ""])
        #expect(CommaSeparated.values("a\"b") == nil)
    }
}

@Suite("Sources of ADD and COPY")
struct SourceTests {
    @Test("permissions are a number or a change of those that are there")
    func modes() throws {
        #expect(try ModeChange("755").applied(to: 0o600) == 0o755)
        #expect(try ModeChange("u=rwX,go=rX").applied(to: 0o600) == 0o644)
        #expect(try ModeChange("u=rwX,go=rX").applied(to: 0o700, isDirectory: true) == 0o755)
        #expect(try ModeChange("+x").applied(to: 0o644) == 0o755)
        #expect(try ModeChange("a-w,u+s").applied(to: 0o777) == 0o4555)
        #expect(try ModeChange("go=").applied(to: 0o777) == 0o700)
        #expect(try ModeChange("+t").applied(to: 0o777) == 0o1777)
        for wrong in ["8", "10000", "u", "+q", "", "rw", "u+x,", "-1"] {
            #expect(throws: BuildError.self, "\(wrong)") { try ModeChange(wrong) }
        }
    }

    @Test("Git repositories are told from files of the web, and nothing in them is taken for an option")
    func git() throws {
        #expect(try GitAddress("https://h/a.tar.gz") == nil)
        #expect(try GitAddress("dir/a.git") == nil)
        let address = try #require(try GitAddress("https://h/a.git#v1:docs/x"))
        #expect([address.remote, address.ref, address.subdirectory] == ["https://h/a.git", "v1", "docs/x"])
        let query = try #require(try GitAddress("https://h/a.git?tag=v1&subdir=d&keep-git-dir&checksum=abcdef1&submodules=false"))
        #expect([query.ref, query.subdirectory, query.checksum ?? ""] == ["refs/tags/v1", "d", "abcdef1"])
        #expect(query.keepsGitDirectory == true && !query.fetchesSubmodules)
        #expect(try GitAddress("git://h/a")?.remote == "git://h/a")
        #expect(try GitAddress("github.com/o/n", isContext: true)?.remote == "https://github.com/o/n")
        #expect(try GitAddress("https://github.com/o/n/archive/v1.tar.gz", isContext: true) == nil)
        #expect(try GitAddress("https://github.com/o/n", isContext: true) == nil)
        for secret in ["https://me:hunter2@h/a.git", "http://hunter2@h/a.git#v1", "git://me:hunter2@h/a", "ssh://me:hunter2@h/a"] {
            let error = #expect(throws: BuildError.self, "\(secret)") { try GitAddress(secret) }
            #expect(error.map { "\($0)".contains("hunter2") } == false)
        }
        #expect(AddressText.withoutUser("http://me:a@b@h/x@y") == "http://h/x@y" && AddressText.withoutUser("a@b") == "a@b")
        for wrong in [
            "https://h/a.git#--upload-pack=touch", "https://h/a.git#a..b", "https://h/a.git#:../x", "https://h/a.git?x=y",
            "https://h/a.git?ref=a#b", "git@h:a.git", "ssh://h/a", "https://u:p@h/a.git", "git://-oProxyCommand=x/a", "https://h/a.git?checksum=xyz",
            "https://h/a.git#a b",
        ] {
            #expect(throws: BuildError.self, "\(wrong)") { try GitAddress(wrong) }
        }
    }

    @Test("a file of the web gets the last part of its address as name")
    func names() {
        #expect(BuildRun.fileName("https://h/a/b%20c.txt?x=/y") == "b c.txt")
        for wrong in ["https://h", "https://h/", "https://h/a/..", "https://h/a%2F..%2Fb"] {
            #expect(BuildRun.fileName(wrong) == "", "\(wrong)")
        }
        #expect(HTTPDate.seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 1_445_412_480)
        #expect(HTTPDate.seconds("yesterday") == nil)
    }

    @Test("flags of ADD and COPY are for the one that has them")
    func flags() throws {
        func message(_ text: String) -> String {
            do {
                _ = try BuildPlan(try parse("FROM a\n" + text + "\n"))
                return "no error"
            } catch {
                return "\(error)"
            }
        }
        #expect(message("COPY --checksum=x a b").hasSuffix("unknown flag: --checksum"))
        #expect(message("ADD --parents a b").hasSuffix("unknown flag: --parents"))
        #expect(message("COPY --parents --link a b") == "no error")
        #expect(message("ADD --keep-git-dir --unpack=false --checksum=sha256:1 a b") == "no error")
    }
}
