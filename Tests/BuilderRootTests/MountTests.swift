import Builder
import Glibc
import Images
import Linux
import OCI
import Store
import SystemPackage
import Testing

@Suite("Mounts of RUN in a build", .enabled(if: getuid() == 0))
struct MountTests {
    @Test("a bind shows the context, a stage or an image, and what is written to it is thrown away")
    func binds() async throws {
        try await BuildWorld.with { (world) async throws in
            try world.write("src/a", "A")
            try world.write("src/hidden", "H")
            try world.write(".dockerignore", "**/hidden\n")
            let text = """
                FROM scratch AS one
                RUN mkdir /out && write /out/f F
                FROM scratch
                RUN --mount=source=src,target=/m --mount=from=one,source=/out,target=/n,rw look 0 && look 1 && put 0 x X && put 1 x X && look 1 && stub
                RUN --mount=from=one,source=out/f,target=/f look 0
                """
            let result = try await world.build(text)
            let said = result.log.split(separator: "\n").map(String.init)
            #expect(said.contains("755 a"))
            #expect(said.contains("755 f") && said.contains("755 f x"))
            #expect(said.contains("\(Errno.readOnlyFileSystem)") && said.contains("written"))
            #expect(said.contains("644 0:0 F"))
            #expect(try world.list(result.image, "/").isEmpty)
            #expect(try world.leftovers().isEmpty)
            #expect(await world.failure("FROM scratch\nRUN --mount=source=no,target=/m look 0\n").contains("no"))
            #expect(
                await world.failure("FROM scratch AS a\nFROM scratch\nRUN --mount=from=a,source=no,target=/m look 0\n").hasSuffix(
                    "stat no: file does not exist"))
        }
    }

    @Test("a step with a bind is done again when the files that it saw have changed")
    func bindKey() async throws {
        try await BuildWorld.with { (world) async throws in
            try world.write("a", "1")
            try world.write("b", "1")
            let text = "FROM scratch\nRUN --mount=source=a,target=/a look 0 && write /x X\n"
            _ = try await world.build(text)
            try world.write("b", "2")
            #expect(try await world.build(text).log.contains("Using cache"))
            try world.write("a", "2")
            #expect(try await world.build(text).log.contains("644 0:0 2"))
        }
    }

    @Test("a link in a source does not lead out of it")
    func links() async throws {
        try await BuildWorld.with { (world) async throws in
            try world.link("out", to: "/etc")
            #expect(await world.failure("FROM scratch\nRUN --mount=source=out/passwd,target=/m look 0\n").contains("out/passwd"))
            // A file by itself is followed, a link in a directory is copied as it is.
            try world.write("d/f", "F")
            try world.link("d/out", to: "/etc")
            let stage = "FROM scratch AS a\nCOPY d /l/\nFROM scratch\nRUN --mount=from=a,source=l/out/passwd,target=/m look 0\n"
            let failure = await world.failure(stage)
            #expect(failure.contains("file does not exist"), "\(failure)")
        }
    }

    @Test("a cache stays from build to build, is in no image and is pruned on demand")
    func caches() async throws {
        try await BuildWorld.with { (world) async throws in
            let text = { (name: String) in
                "FROM scratch\nRUN --mount=type=cache,target=/c,mode=0700,uid=5 look 0 && put 0 \(name) X && stub && write /\(name) x\n"
            }
            #expect(try await world.build(text("one")).log.contains("700 \n"))
            let second = try await world.build(text("two"))
            #expect(second.log.contains("700 one\n"))
            #expect(try world.list(second.image, "/") == ["two"])
            let entries = try await world.cacheMounts.all()
            #expect(entries.count == 1 && entries[0].bytes > 0 && entries[0].record.name == "/c" && entries[0].record.uses == 1)
            #expect(try await world.cacheMounts.remove(entries[0].record.key))
            #expect(try await world.build(text("three")).log.contains("700 \n"))
        }
    }

    @Test("caches are told apart by id, and one may begin with the files of a stage")
    func cacheContents() async throws {
        try await BuildWorld.with { (world) async throws in
            let text = """
                FROM scratch AS seed
                RUN mkdir /d && write /d/f F
                FROM scratch
                RUN --mount=type=cache,target=/a,id=one put 0 x X
                RUN --mount=type=cache,target=/b,id=one look 0
                RUN --mount=type=cache,target=/b,id=two look 0
                RUN --mount=type=cache,target=/b,id=two,from=seed,source=/d look 0
                RUN --mount=type=cache,target=/b,id=one,ro put 0 y Y
                """
            let said = try await world.build(text).log.split(separator: "\n").filter { $0.hasPrefix("755") || $0.contains("nly") }
            #expect(said == ["755 x", "755 ", "755 f", "\(Errno.readOnlyFileSystem)"])
        }
    }

    @Test("commands that share a locked cache run one after the other, private ones have their own")
    func sharing() async throws {
        try await BuildWorld.with { (world) async throws in
            for sharing in ["shared", "private"] {
                let text = "FROM scratch AS a\nRUN --mount=type=cache,target=/\(sharing),sharing=\(sharing) hang\n"
                let hanging = Task { try await world.build(text) }
                for await _ in world.runner.hangs.stream { break }
                // Would wait for ever if it were locked.
                let other = "FROM scratch\nRUN --mount=type=cache,target=/\(sharing),sharing=\(sharing) look 0\n"
                #expect(try await world.build(other).log.contains("755 \n"))
                hanging.cancel()
                _ = await hanging.result
            }
            #expect(try await world.cacheMounts.all().count == 3)
            let hanging = Task { try await world.build("FROM scratch\nRUN --mount=type=cache,target=/l,sharing=locked hang\n") }
            for await _ in world.runner.hangs.stream { break }
            let waiting = Task { try await world.build("FROM scratch\nRUN --mount=type=cache,target=/l,sharing=locked look 0\n") }
            let key = try #require(try await world.cacheMounts.all().first { $0.record.name == "/l" }?.record.key)
            #expect(try await !world.cacheMounts.remove(key))
            hanging.cancel()
            #expect(try await waiting.value.log.contains("755 \n"))
            let given = Task { try await world.build("FROM scratch\nRUN --mount=type=cache,target=/l,sharing=locked hang\n") }
            for await _ in world.runner.hangs.stream { break }
            let cancelled = Task { try await world.build("FROM scratch\nRUN --mount=type=cache,target=/l,sharing=locked look 0\n") }
            cancelled.cancel()
            await #expect(throws: (any Error).self) { try await cancelled.value }
            given.cancel()
            _ = await given.result
        }
    }

    @Test("a secret is seen by its command alone: in no layer, no history, no key and no output of its own")
    func secrets() async throws {
        try await BuildWorld.with { (world) async throws in
            let text = """
                FROM scratch
                RUN --mount=type=secret,id=s --mount=type=secret,id=t,target=/k,mode=0440,uid=7,gid=8 look 0 && look 1 && stub && write /x X
                RUN --mount=type=secret,id=s,env=S env S
                RUN --mount=type=secret,id=none say nothing
                """
            let first = try await world.build(text) { $0.secrets = ["s": Array("hush".utf8), "t": Array("hush-t".utf8)] }
            #expect(first.log.contains("400 0:0 hush\n") && first.log.contains("440 7:8 hush-t\n") && first.log.contains("S=hush\n"))
            #expect(world.runner.steps[0].mounts.map(\.target) == ["/run/secrets/s", "/k"])
            #expect(try world.list(first.image, "/") == ["x"])
            #expect(!"\(first.image.config)".contains("hush"))
            let records = try await world.database.buildCache.all()
            #expect(records.allSatisfy { !$0.key.contains("hush") && !String(decoding: $0.json, as: UTF8.self).contains("hush") })
            // Another value does not make another image.
            let second = try await world.build(text) { $0.secrets = ["s": Array("other".utf8)] }
            #expect(second.image.id == first.image.id)
            #expect(await world.failure("FROM scratch\nRUN --mount=type=secret,id=x,required look 0\n") == "secret x: not found")
            #expect(await world.failure("FROM scratch\nRUN --mount=type=ssh,required say x\n") == "no SSH key \"default\" forwarded from the client")
            #expect(try await world.build("FROM scratch\nRUN --mount=type=ssh say x\n").log.contains("x\n"))
        }
    }

    @Test("what was made to mount on goes, what was there stays")
    func stubs() async throws {
        try await BuildWorld.with { (world) async throws in
            let text = """
                FROM scratch
                RUN mkdir /there/deep && write /there/f F
                RUN --mount=type=tmpfs,target=/there/new/x --mount=type=tmpfs,target=/a/b stub && write /other O
                """
            let result = try await world.build(text)
            #expect(try world.list(result.image, "/") == ["other", "there"])
            #expect(try world.list(result.image, "/there") == ["deep", "f"])
            guard case .tmpfs = world.runner.steps[1].mounts[0].content else { return #expect(Bool(false)) }
        }
    }

    @Test("a script with an interpreter line is there to be run, and nowhere afterwards")
    func script() async throws {
        try await BuildWorld.with { (world) async throws in
            let result = try await world.build("FROM scratch\nRUN <<EOF\n#!/bin/x\nbody\nEOF\n")
            #expect(world.runner.steps[0].args == ["/dev/pipes/EOF"])
            #expect(world.runner.steps[0].mounts.map(\.target) == ["/dev/pipes/EOF"])
            #expect(try world.list(result.image, "/").isEmpty)
        }
    }

    @Test("an agent is offered at a socket that the command is told of")
    func agents() async throws {
        try await BuildWorld.with { (world) async throws in
            let text = "FROM scratch\nRUN --mount=type=ssh,uid=5 --mount=type=ssh,id=o,target=/s,mode=0666 env SSH_AUTH_SOCK\n"
            let result = try await world.build(text) { $0.agents = ["default": "/a", "o": "/b"] }
            #expect(result.log.contains("SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0\n"))
            let mounts = world.runner.steps[0].mounts
            #expect(mounts.map(\.target) == ["/run/buildkit/ssh_agent.0", "/s"])
            guard case .agent("/b", mode: 0o666, uid: 0, gid: 0) = mounts[1].content else { return #expect(Bool(false)) }
        }
    }
}
