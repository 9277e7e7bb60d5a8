import Builder
import Glibc
import Images
import Linux
import OCI
import SystemPackage
import Testing

@Suite("COPY and ADD", .enabled(if: getuid() == 0))
struct CopyTests {
    @Test("a file goes to a name or into a directory, a directory's contents go into a directory")
    func shapes() async throws {
        try await BuildWorld.with { (world) async throws in
            try world.write("a.txt", "A")
            try world.write("run.sh", "#!", mode: 0o755)
            try world.write("dir/b.txt", "B")
            try world.write("dir/sub/c.txt", "C")
            try world.link("dir/link", to: "/etc/passwd")
            let image = try await world.build(
                """
                FROM scratch
                COPY a.txt /named
                COPY a.txt run.sh /into/
                COPY dir /whole
                WORKDIR /work
                COPY *.txt .
                COPY ["a.txt", "with space"]
                COPY dir/ /
                COPY a.txt /whole
                """
            ).image
            #expect(try world.look(image, "/named") == "regular 644 0:0 A")
            #expect(try world.look(image, "/into/run.sh") == "regular 755 0:0 #!")
            #expect(try world.list(image, "/whole") == ["a.txt", "b.txt", "link", "sub"])
            #expect(try world.look(image, "/whole/link") == "symbolicLink 777 0:0 /etc/passwd")
            #expect(try world.look(image, "/whole/sub/c.txt") == "regular 644 0:0 C")
            #expect(try world.look(image, "/work") == "directory 755 0:0")
            #expect(try world.list(image, "/work") == ["a.txt", "with space"])
            #expect(try world.look(image, "/b.txt") == "regular 644 0:0 B")
            #expect(image.config.rootfs.diffIDs.count == 8)
        }
    }

    @Test("owners and permissions are those that were asked for; names come from the image's own files")
    func owners() async throws {
        try await BuildWorld.with { (world) async throws in
            try world.write("etc/passwd", "root:x:0:0::/:/bin/sh\napp:x:1000:1001::/app:/bin/sh\n1500:x:7:7::/:/bin/sh\n")
            try world.write("etc/group", "root:x:0:\nstaff:x:50:app\n")
            try world.write("f", "F")
            let image = try await world.build(
                """
                FROM scratch
                COPY etc /etc
                ARG who=app
                COPY --chown=$who f /by-name
                COPY --chown=app:staff --chmod=600 f /by-group
                COPY --chown=1500 f /by-number
                COPY --chown=12:34 --chmod=4755 f /new/dir/f
                """
            ).image
            #expect(try world.look(image, "/by-name") == "regular 644 1000:1001 F")
            #expect(try world.look(image, "/by-group") == "regular 600 1000:50 F")
            #expect(try world.look(image, "/by-number") == "regular 644 1500:1500 F")
            #expect(try world.look(image, "/new/dir/f") == "regular 4755 12:34 F")
            #expect(try world.look(image, "/new/dir") == "directory 755 12:34")
            #expect(await world.failure("FROM scratch\nCOPY --chown=nobody f /x\n").contains("no such user: nobody"))
            #expect(await world.failure("FROM scratch\nCOPY --chown=4294967296 f /x\n").contains("uids and gids must be in range"))
            #expect(await world.failure("FROM scratch\nCOPY --chown=-1 f /x\n").contains("no such user: -1"))
            #expect(await world.failure("FROM scratch\nCOPY --chown=a:b:c f /x\n").contains("invalid chown string"))
        }
    }

    @Test("a passwd that is a link outside, a pipe or too large is no danger")
    func hostilePasswd() async throws {
        try await BuildWorld.with { (world) async throws in
            try world.write("f", "F")
            try world.link("loop", to: "/proc/self/root/etc/passwd")
            #expect(await world.failure("FROM scratch\nCOPY loop /etc/passwd\n").contains("file does not exist"))
            try world.write("etc/real", "")
            try world.link("etc/passwd", to: "/../../../../etc/passwd")
            #expect(await world.failure("FROM scratch\nCOPY etc /etc\nCOPY --chown=root f /x\n").contains("Too many levels"))
            try world.write("big", String(repeating: "x:x:1:1:::\n", count: 500_000))
            #expect(await world.failure("FROM scratch\nCOPY big /etc/passwd\nCOPY --chown=zed f /x\n").contains("is larger than"))
            #expect(
                await world.failure("FROM scratch\nCOPY f /etc/f\nRUN fifo /etc/passwd\nCOPY --chown=zed f /x\n")
                    == "dockerfile parse error on line 4: /etc/passwd is not a file")
        }
    }

    @Test("links in the context and in the image lead nowhere outside")
    func links() async throws {
        try await BuildWorld.with { (world) async throws in
            let canary = world.root.appending("canary")
            try writeAtomically(Array("host".utf8), to: canary, sync: false)
            try world.write("f", "F")
            try world.link("out", to: "../canary")
            try world.link("abs", to: canary.string)
            #expect(await world.failure("FROM scratch\nCOPY out /x\n").contains("file does not exist"))
            #expect(await world.failure("FROM scratch\nCOPY abs /x\n").contains("file does not exist"))
            #expect(await world.failure("FROM scratch\nCOPY ../canary /x\n").contains("file does not exist"))
            try world.write("tree/f", "F")
            try world.link("tree/link", to: canary.string)
            let image = try await world.build("FROM scratch\nCOPY tree /\nCOPY f /link\n").image
            #expect(try String(decoding: OwnedFD.open(canary, .readOnly).readAll(limit: 99), as: UTF8.self) == "host")
            #expect(try world.look(image, canary.string) == "regular 644 0:0 F")
        }
    }

    @Test("what the ignore file names is not there, an exception brings it back")
    func ignored() async throws {
        try await BuildWorld.with { (world) async throws in
            try world.write(".dockerignore", "*\n!src/**/*.txt\n!keep\n# comment\n")
            try world.write("keep", "K")
            try world.write("drop", "D")
            try world.write("src/deep/a.txt", "A")
            try world.write("src/deep/a.bin", "B")
            try world.write("src/none/b.bin", "B")
            let image = try await world.build("FROM scratch\nCOPY . /\n").image
            #expect(try world.list(image, "/") == ["keep", "src"])
            #expect(try world.list(image, "/src") == ["deep"])
            #expect(try world.list(image, "/src/deep") == ["a.txt"])
            #expect(
                await world.failure("FROM scratch\nCOPY drop /\n")
                    == "COPY failed: file not found in build context or excluded by .dockerignore: stat drop: file does not exist")
            try world.write("Other", "FROM scratch\nCOPY drop /\n")
            try world.write("Other.dockerignore", "keep\n")
            let other = try await world.build("") { $0.dockerfile = .inContext("Other") }
            #expect(try world.list(other.image, "/") == ["drop"])
        }
    }

    @Test("wrong destinations and sources are told")
    func refusals() async throws {
        try await BuildWorld.with { (world) async throws in
            try world.write("a", "A")
            try world.write("d/x", "X")
            #expect(
                await world.failure("FROM scratch\nCOPY a d /x\n")
                    == "When using COPY with more than one source file, the destination must be a directory and end with a /")
            #expect(await world.failure("FROM scratch\nCOPY *.none /x/\n") == "COPY failed: no source files were specified")
            #expect(await world.failure("FROM scratch\nCOPY a /a\nCOPY d /a\n").contains("cannot copy to non-directory: /a"))
            #expect(
                await world.failure("FROM scratch\nADD ftp://example.org/x /x\n")
                    == "dockerfile parse error on line 2: ADD of ftp://example.org/x: only http, https and Git addresses are possible")
            #expect(try world.leftovers().isEmpty)
        }
    }

    @Test("here-documents become files, expanded unless their name is quoted")
    func heredocs() async throws {
        try await BuildWorld.with { (world) async throws in
            let image = try await world.build(
                """
                FROM scratch
                ENV NAME=world
                COPY <<one.txt <<"two.txt" /d/
                it's "$NAME" \\$NAME
                one.txt
                $NAME
                two.txt
                """
            ).image
            #expect(try world.look(image, "/d/one.txt") == "regular 644 0:0 it's \"world\" $NAME\n")
            #expect(try world.look(image, "/d/two.txt") == "regular 644 0:0 $NAME\n")
        }
    }
}
