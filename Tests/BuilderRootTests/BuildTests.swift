import Archive
import Builder
import Glibc
import Images
import Linux
import OCI
import Store
import SystemPackage
import Testing

@Suite("Building images", .enabled(if: getuid() == 0))
struct BuildTests {
    @Test("a build tells each step as Docker does, and its ids are those of the images")
    func output() async throws {
        try await BuildWorld.with { (world) async throws in
            try world.write("f", "F")
            let result = try await world.build("FROM scratch\nCOPY f /f\nRUN say héllo\nCMD [\"a\"]\n") {
                $0.tags = [try Reference("demo:1")]
                $0.labels = ["b": "2", "a": "it's $x"]
            }
            let id = result.image.id.short
            let lines = result.log.split(separator: "\n").map(String.init)
            #expect(lines[0...1] == ["Step 1/5 : FROM scratch", " ---> "])
            #expect(lines[2] == "Step 2/5 : COPY f /f")
            #expect(lines[4] == "Step 3/5 : RUN say héllo")
            #expect(lines[5].hasPrefix(" ---> Running in "))
            #expect(lines[6] == "héllo")
            #expect(lines[7].hasPrefix(" ---> Removed intermediate container "))
            #expect(lines[9] == "Step 4/5 : CMD [\"a\"]")
            #expect(lines.suffix(3) == [" ---> \(id)", "Successfully built \(id)", "Successfully tagged demo:1"])
            #expect(result.image.config.config?.labels == ["a": "it's $x", "b": "2"])
            #expect(try await world.images.image("demo:1").id == result.image.id)
            #expect(try world.leftovers().isEmpty)
        }
    }

    @Test("history says what made each layer, in the words of Docker's classic builder")
    func history() async throws {
        try await BuildWorld.with { (world) async throws in
            try world.write("f", "F")
            let image = try await world.build(
                "FROM scratch\nARG v=1\nENV A b\nCOPY f /f\nWORKDIR /w\nRUN write /x 1\nRUN [\"nothing\"]\nCMD run it\n"
            ).image
            let history = image.config.history ?? []
            #expect(history.map(\.createdBy)[0...1] == ["/bin/sh -c #(nop)  ARG v=1", "/bin/sh -c #(nop)  ENV A=b"])
            #expect(history[2].createdBy?.hasPrefix("/bin/sh -c #(nop) COPY file:") == true)
            #expect(history[2].createdBy?.hasSuffix(" in /f ") == true)
            #expect(history[3].createdBy == "/bin/sh -c #(nop) WORKDIR /w")
            #expect(history[4].createdBy == "|1 v=1 /bin/sh -c write /x 1")
            #expect(history[6].createdBy == "/bin/sh -c #(nop)  CMD [\"/bin/sh\" \"-c\" \"run it\"]")
            #expect(history.map { $0.emptyLayer ?? false } == [true, true, false, false, false, true, true])
            #expect(image.layers.count == 3)
        }
    }

    @Test("the same build again comes from the cache, to the same image")
    func cache() async throws {
        try await BuildWorld.with { (world) async throws in
            let dockerfile = "FROM scratch\nARG v\nENV P 1\nCOPY app /app/\nRUN write /r $v\nCOPY late /\nCMD [\"x\"]\n"
            try world.write("app/a", "A")
            try world.write("late", "L")
            let first = try await world.build(dockerfile)
            #expect(!first.log.contains("Using cache"))
            let second = try await world.build(dockerfile)
            #expect(second.image.id == first.image.id)
            #expect(second.log.components(of: "Using cache") == 6)
            #expect(world.runner.steps.count == 1)

            // A file that is only newer is the same file; another content changes what follows it.
            try world.write("app/a", "A")
            #expect(try await world.build(dockerfile).image.id == first.image.id)
            try world.write("late", "other")
            let third = try await world.build(dockerfile)
            #expect(third.log.components(of: "Using cache") == 4)
            #expect(world.runner.steps.count == 1)
            try world.write("app/a", "A", mode: 0o755)
            #expect(try await world.build(dockerfile).log.components(of: "Using cache") == 2)

            let steps = world.runner.steps.count
            _ = try await world.build(dockerfile) { $0.buildArgs = ["v": "9"] }
            #expect(world.runner.steps.count == steps + 1)
            let fresh = try await world.build(dockerfile) { $0.noCache = true }
            #expect(!fresh.log.contains("Using cache"))
            #expect(world.runner.steps.count == steps + 2)
        }
    }

    @Test("a cached step counts only while its layer exists, and images from elsewhere never count")
    func cacheSources() async throws {
        try await BuildWorld.with { (world) async throws in
            let dockerfile = "FROM scratch\nRUN write /r 1\nCMD [\"x\"]\n"
            let first = try await world.build(dockerfile)
            let file = world.root.appending("saved.tar")
            try await world.images.save(
                [first.image.id.description], to: SharedFD(try OwnedFD.open(file, [.writeOnly, .create])))
            try await world.database.buildCache.delete(keys: try await world.database.buildCache.all().map(\.key))
            // The image itself is still there, with the very layer and history that the step would make.
            let again = try await world.build(dockerfile)
            #expect(!again.log.contains("Using cache"))
            #expect(world.runner.steps.count == 2)
        }
    }

    @Test("stages: only needed ones, from a name, a number or an image, with the files' owners")
    func stages() async throws {
        try await BuildWorld.with { (world) async throws in
            try world.write("f", "F")
            _ = try await world.build("FROM scratch\nCOPY f /from-image\n") { $0.tags = [try Reference("other:1")] }
            let result = try await world.build(
                """
                ARG base=builder
                FROM scratch AS builder
                COPY --chown=5:6 f /built
                ENV INHERITED=yes
                FROM scratch AS unused
                RUN exit 9
                FROM $base AS final
                COPY --from=0 /built /copy/
                COPY --from=builder --chown=7 /built /seven
                COPY --from=other:1 / /all/
                RUN env INHERITED
                FROM scratch
                RUN exit 9
                """
            ) { $0.target = "final" }
            #expect(try world.look(result.image, "/copy/built") == "regular 644 5:6 F")
            #expect(try world.look(result.image, "/seven") == "regular 644 7:7 F")
            #expect(try world.look(result.image, "/all/from-image") == "regular 644 0:0 F")
            #expect(try world.look(result.image, "/built") == "regular 644 5:6 F")
            #expect(result.log.contains("INHERITED=yes\n"))
            #expect(!result.log.contains("unused"))
            #expect(result.log.contains("Step 1/9 : ARG base=builder\nStep 2/9 : FROM scratch AS builder\n"))
        }
    }

    @Test("arguments reach RUN, the image's environment beats them, unused ones are told")
    func arguments() async throws {
        try await BuildWorld.with { (world) async throws in
            let result = try await world.build(
                "ARG G=global\nFROM scratch\nARG G\nARG A=default\nARG E=arg\nENV E=env\nRUN env G && env A && env E && env HTTP_PROXY && env PATH\n"
            ) { $0.buildArgs = ["A": "given", "Z": "1", "Y": "2", "HTTP_PROXY": "secret"] }
            #expect(result.log.contains("G=global\nA=given\nE=env\nHTTP_PROXY=secret\nPATH=/usr/local/sbin:"))
            #expect(result.log.contains("[Warning] One or more build-args [Y Z] were not consumed\n"))
            let history = result.image.config.history ?? []
            #expect(history.last?.createdBy?.hasPrefix("|2 A=given G=global /bin/sh -c env G") == true)
            #expect(!String(decoding: result.image.configBytes, as: UTF8.self).contains("secret"))
        }
    }

    @Test("mount points that were made to start a command do not become part of the image")
    func mountPoints() async throws {
        try await BuildWorld.with { (world) async throws in
            try world.write("etc/passwd", "root:x:0:0::/:\n")
            try world.write("proc/own", "kept")
            let start = "mkdir /dev && mkdir /sys && mkdir /proc/x && write /etc/hosts  && write /etc/resolv.conf "
            let image = try await world.build("FROM scratch\nCOPY etc /etc\nCOPY proc /proc\nRUN \(start)\n").image
            #expect(image.layers.count == 3)
            #expect(try world.list(image, "/") == ["etc", "proc"])
            #expect(try world.list(image, "/etc") == ["passwd"])
            let only = try await world.build("FROM scratch\nCOPY etc /etc\nRUN write /etc/hosts  && mkdir /dev\n").image
            #expect(only.layers.count == 1)
            let changed = try await world.build("FROM scratch\nCOPY etc /etc\nRUN write /etc/hosts mine && mkdir /sys && write /sys/x 1\n").image
            #expect(try world.look(changed, "/etc/hosts") == "regular 644 0:0 mine")
            #expect(try world.look(changed, "/sys/x") == "regular 644 0:0 1")
        }
    }

    @Test("a failing command names itself and its code, and leaves nothing but the steps before it")
    func failure() async throws {
        try await BuildWorld.with { (world) async throws in
            let dockerfile = "FROM scratch\nRUN write /a 1\nRUN write /b 2 && exit 3\n"
            #expect(
                await world.failure(dockerfile)
                    == "The command '/bin/sh -c write /b 2 && exit 3' returned a non-zero code: 3")
            #expect(try world.leftovers().isEmpty)
            #expect(try await world.images.list().isEmpty)
            #expect(try await world.database.buildCache.all().count == 1)
        }
    }

    @Test("a cancelled build ends its command and leaves nothing", .timeLimit(.minutes(1)))
    func cancellation() async throws {
        try await BuildWorld.with { (world) async throws in
            let task = Task { try await world.build("FROM scratch\nRUN write /b 2 && hang\n") }
            for await _ in world.runner.hangs.stream { break }
            task.cancel()
            await #expect(throws: (any Error).self) { try await task.value }
            #expect(try world.leftovers().isEmpty)
        }
    }

    @Test("builds at the same time do not disturb each other")
    func parallel() async throws {
        try await BuildWorld.with { (world) async throws in
            try world.write("f", "F")
            let ids = try await withThrowingTaskGroup(of: Digest.self) { group in
                for index in 0..<8 {
                    group.addTask {
                        try await world.build("FROM scratch\nCOPY f /f\nRUN write /n \(index % 2)\nENV N=\(index)\n").image.id
                    }
                }
                return try await group.reduce(into: Set<Digest>()) { $0.insert($1) }
            }
            #expect(ids.count == 8)
            #expect(try world.leftovers().isEmpty)
        }
    }

    @Test("ONBUILD fires in the child and not in the grandchild")
    func triggers() async throws {
        try await BuildWorld.with { (world) async throws in
            try world.write("f", "F")
            _ = try await world.build("FROM scratch\nONBUILD COPY f /app/\nONBUILD RUN say fired\n") {
                $0.tags = [try Reference("parent")]
            }
            let child = try await world.build("FROM parent\nCMD [\"x\"]\n") { $0.tags = [try Reference("child")] }
            #expect(child.log.contains("# Executing 2 build triggers\n"))
            #expect(child.log.contains("fired\n"))
            #expect(try world.look(child.image, "/app/f") == "regular 644 0:0 F")
            #expect(try await !world.build("FROM child\nENV A=1\n").log.contains("trigger"))
        }
    }

    @Test("ADD unpacks local archives, also packed ones, and copies everything else")
    func archives() async throws {
        try await BuildWorld.with { (world) async throws in
            let sink = MemorySink()
            let writer = TarWriter(sink)
            try writer.write(
                TarEntry(path: Array("in/x".utf8), kind: .file, size: 1, mode: 0o640, uid: 3, gid: 4), content: Array("X".utf8))
            try writer.finish()
            let (gzip, zstd) = (MemorySink(), MemorySink())
            let (gzipper, zstdder) = (try GzipSink(gzip), try ZstdSink(zstd))
            try sink.bytes.withUnsafeBytes { bytes in
                try gzipper.write(bytes)
                try zstdder.write(bytes)
            }
            try gzipper.finish()
            try zstdder.finish()
            try writeAtomically(gzip.bytes, to: world.context.appending("b.dat"), sync: false)
            try writeAtomically(zstd.bytes, to: world.context.appending("c.dat"), sync: false)
            try writeAtomically(sink.bytes, to: world.context.appending("a.dat"), sync: false)
            try world.write("text.tar", "not an archive")
            let image = try await world.build(
                "FROM scratch\nADD a.dat /out\nADD text.tar /t\nCOPY a.dat /copied\nADD --unpack=false a.dat /kept\nADD b.dat c.dat /more/\n"
            ).image
            #expect(try world.look(image, "/out/in/x") == "regular 640 3:4 X")
            #expect(try world.list(image, "/more") == ["in"])
            #expect(try world.look(image, "/t") == "regular 644 0:0 not an archive")
            #expect(try world.look(image, "/copied")?.hasPrefix("regular 600 0:0") == true)
            #expect(try world.look(image, "/kept")?.hasPrefix("regular 600 0:0") == true)
        }
    }

    @Test("the hello app: old forms, a variable in EXPOSE, and only the last step again after a change")
    func helloApp() async throws {
        try await BuildWorld.with { (world) async throws in
            _ = try await world.build("FROM scratch\nENV PATH=/bin\nCMD [\"sh\"]\n") { $0.tags = [try Reference("alpine:3.7")] }
            try world.write(
                "Dockerfile",
                """
                FROM alpine:3.7
                # who
                MAINTAINER me
                RUN say one && \\
                    say two
                ENV PORT 8001
                EXPOSE $PORT
                WORKDIR /app
                ADD hello-app/requirements.txt /app
                RUN say install
                ADD hello-app/hello.py /app/hello.py
                CMD [ "python", "hello.py" ]
                """)
            try world.write("hello-app/requirements.txt", "flask")
            try world.write("hello-app/hello.py", "1")
            let first = try await world.build("") { $0.dockerfile = .inContext("Dockerfile") }
            #expect(first.image.config.config?.exposedPorts == ["8001/tcp"])
            #expect(first.image.config.config?.env == ["PATH=/bin", "PORT=8001"])
            #expect(first.image.config.config?.workingDir == "/app")
            #expect(first.image.config.author == "me")
            #expect(first.image.config.config?.cmd == ["python", "hello.py"])
            try world.write("hello-app/hello.py", "2")
            let second = try await world.build("") { $0.dockerfile = .inContext("Dockerfile") }
            #expect(second.log.components(of: "Using cache") == 7)
            #expect(try world.look(second.image, "/app/hello.py") == "regular 644 0:0 2")
            #expect(try world.look(second.image, "/app/requirements.txt") == "regular 644 0:0 flask")
        }
    }

    @Test("a base that is not there, a missing Dockerfile and a bad target are told")
    func missing() async throws {
        try await BuildWorld.with { (world) async throws in
            #expect(await world.failure("FROM nothing:1\n").contains("No such image: nothing:1"))
            #expect(
                await world.failure("") { $0.dockerfile = .inContext("../../etc/passwd") }
                    == "Cannot locate specified Dockerfile: ../../etc/passwd")
            #expect(await world.failure("FROM scratch\n") { $0.target = "x" } == "failed to reach build target x in Dockerfile")
            #expect(await world.failure("FROM scratch\n") == "No image was generated. Is your Dockerfile empty?")
            #expect(await world.failure("FROM ${X}\n").contains("base name (${X}) should not be blank"))
        }
    }
}

extension String {
    func components(of text: String) -> Int {
        var count = 0
        var rest = self[...]
        while let range = rest.firstRange(of: text) {
            count += 1
            rest = rest[range.upperBound...]
        }
        return count
    }
}
