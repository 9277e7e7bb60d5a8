import Builder
import Glibc
import Images
import Linux
import OCI
import Store
import SystemPackage
import Testing

@Suite("Sources of ADD and COPY in a build", .enabled(if: getuid() == 0))
struct SourceTests {
    @Test("a file of the web is added, asked for again, and fetched again only when it has changed")
    func web() async throws {
        try await BuildWorld.with { (world) async throws in
            let address = "https://h/d/file.txt"
            world.web.set(address, "one", etag: "1")
            let text = "FROM scratch\nADD \(address) /d/\nADD --chmod=644 --chown=3:4 \(address) /other\n"
            let first = try await world.build(text)
            #expect(try world.look(first.image, "/d/file.txt") == "regular 600 0:0 one")
            #expect(try world.look(first.image, "/other") == "regular 644 3:4 one")
            let second = try await world.build(text)
            #expect(second.image.id == first.image.id)
            // The second ADD of the first build knows the content, but has to fetch it.
            let known = address + " unchanged"
            #expect(world.web.asked == [address, known, address, known, known])
            world.web.set(address, "two", etag: "2")
            #expect(try world.look(try await world.build(text).image, "/other") == "regular 644 3:4 two")
            #expect(await world.failure("FROM scratch\nADD https://h/no /x\n").contains("404"))
            #expect(await world.failure("FROM scratch\nADD https://h/ /x/\n").contains("cannot determine filename from url: https://h/"))
            #expect(try world.leftovers().isEmpty)
        }
    }

    @Test("a checksum is held to, and makes asking unnecessary once it was found")
    func checksum() async throws {
        try await BuildWorld.with { (world) async throws in
            world.web.set("https://h/f", "one")
            let good = "sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
            let text = "FROM scratch\nADD --checksum=\(good) https://h/f /f\n"
            let first = try await world.build(text)
            #expect(try await world.build(text).image.id == first.image.id)
            #expect(world.web.asked == ["https://h/f"])
            let wrong = good.replacing("7692", with: "0000")
            #expect(await world.failure("FROM scratch\nADD --checksum=\(wrong) https://h/f /f\n").contains("digest mismatch"))
            try world.write("local", "x")
            #expect(await world.failure("FROM scratch\nADD --checksum=\(good) local /f\n").contains("checksum can't be specified"))
            #expect(await world.failure("FROM scratch\nADD --checksum=md5:1 https://h/f /f\n").contains("invalid checksum"))
        }
    }

    @Test("credentials for a host come from secrets, and stay out of what is kept")
    func credentials() async throws {
        try await BuildWorld.with { (world) async throws in
            world.web.set("https://h:1/f", "one", etag: "1")
            _ = try await world.build("FROM scratch\nADD https://h:1/f /f\n") { $0.secrets = ["HTTP_AUTH_TOKEN_h:1": Array("tok\n".utf8)] }
            #expect(world.web.asked == ["https://h:1/f Bearer tok"])
            #expect(try await world.database.buildCache.all().allSatisfy { !String(decoding: $0.json, as: UTF8.self).contains("tok") })
        }
    }

    @Test("parents come along with --parents, from the pivot on, and ** crosses directories")
    func parents() async throws {
        try await BuildWorld.with { (world) async throws in
            try world.write("x/a.txt", "a")
            try world.write("x/y/b.txt", "b")
            try world.write("x/y/c.md", "c")
            let image = try await world.build(
                """
                FROM scratch
                COPY --parents x/a.txt x/y /p/
                COPY --parents ./x/./y/*.txt /q/
                COPY --parents **/*.txt /r/
                COPY --parents --exclude=*.md x/y/ /s/
                """
            ).image
            #expect(try world.look(image, "/p/x/a.txt") == "regular 644 0:0 a")
            #expect(try world.list(image, "/p/x/y") == ["b.txt", "c.md"])
            #expect(try world.list(image, "/q") == ["y"])
            #expect(try world.list(image, "/q/y") == ["b.txt"])
            #expect(try world.look(image, "/r/x/y/b.txt") == "regular 644 0:0 b")
            #expect(try world.list(image, "/s/x/y") == ["b.txt"])
            #expect(await world.failure("FROM scratch\nCOPY --parents no/f /x/\n").contains("no/f"))
        }
    }

    @Test("permissions are changed by letters too")
    func modes() async throws {
        try await BuildWorld.with { (world) async throws in
            try world.write("d/run.sh", "x", mode: 0o600)
            let image = try await world.build("FROM scratch\nARG M=go=rX\nCOPY --chmod=u+x,$M d /d/\n").image
            #expect(try world.look(image, "/d/run.sh") == "regular 755 0:0 x")
            #expect(await world.failure("FROM scratch\nCOPY --chmod=999 d /d/\n").contains("invalid chmod parameter: '999'"))
        }
    }

    @Test("a linked layer does not follow links below it, and stays the same on another base")
    func linked() async throws {
        try await BuildWorld.with { (world) async throws in
            try world.write("f", "F")
            let first = try await world.build("FROM scratch\nRUN write /one 1\nCOPY --link f /d/f\n")
            let second = try await world.build("FROM scratch\nRUN write /two 2\nCOPY --link f /d/f\n")
            #expect(second.log.contains("Using cache"))
            #expect(first.image.layers.last == second.image.layers.last)
            #expect(try world.list(second.image, "/") == ["d", "two"])
        }
    }

    @Test("named contexts stand before stages and images")
    func namedContexts() async throws {
        try await BuildWorld.with { (world) async throws in
            let other = world.root.appending("other")
            try makeDirectories(other, mode: 0o755)
            try writeAtomically(Array("O".utf8), to: other.appending("f"), mode: 0o644, sync: false)
            try writeAtomically(Array("I".utf8), to: other.appending("ignored"), mode: 0o644, sync: false)
            try writeAtomically(Array("ignored\n".utf8), to: other.appending(".dockerignore"), mode: 0o644, sync: false)
            _ = try await world.build("FROM scratch\nRUN write /base B\n") { $0.tags = [try .init("base:1")] }
            let text = """
                FROM nowhere:1 AS files
                FROM over
                COPY --from=Files f /f
                RUN --mount=from=files,target=/m look 0
                """
            let result = try await world.build(text) {
                $0.namedContexts = ["files": .directory(other), "over": .image("base:1")]
            }
            #expect(try world.list(result.image, "/") == ["base", "f"])
            #expect(result.log.contains("755 .dockerignore f\n"))
            #expect(await world.failure("FROM files\n") { $0.namedContexts = ["files": .directory(other)] }.contains("is a directory here"))
        }
    }

    @Test("with SOURCE_DATE_EPOCH two stores give the same image")
    func reproducible() async throws {
        var ids: Set<String> = []
        for _ in 0..<2 {
            try await BuildWorld.with { (world) async throws in
                try world.write("d/f", "F")
                let text = "FROM scratch\nWORKDIR /w\nCOPY d /d/\nRUN write /d/g G && mkdir /e/f\nADD https://h/x /x\nCMD [\"/x\"]\n"
                world.web.set("https://h/x", "X")
                let image = try await world.build(text) { $0.buildArgs["SOURCE_DATE_EPOCH"] = "1000" }.image
                ids.insert("\(image.id)")
                #expect(image.config.created == "1970-01-01T00:16:40Z")
            }
        }
        #expect(ids.count == 1)
    }

    @Test("stages that do not rest on each other are built side by side, and told one after the other")
    func sideBySide() async throws {
        try await BuildWorld.with { (world) async throws in
            let text = """
                FROM scratch AS a
                RUN say a && hang
                FROM scratch AS b
                RUN say b && hang
                FROM scratch
                COPY --from=a / /
                COPY --from=b / /
                """
            let building = Task { try await world.build(text) }
            var hanging = 0
            for await _ in world.runner.hangs.stream {
                hanging += 1
                if hanging == 2 { break }
            }
            building.cancel()
            _ = await building.result
            let result = try await world.build(text.replacing(" && hang", with: " && write /x X"))
            let steps = result.log.split(separator: "\n").filter { $0.hasPrefix("Step") || $0 == "a" || $0 == "b" }
            #expect(
                steps.map { $0.prefix(8) } == ["Step 1/7", "Step 2/7", "a", "Step 3/7", "Step 4/7", "b", "Step 5/7", "Step 6/7", "Step 7/7"])
        }
    }
}
