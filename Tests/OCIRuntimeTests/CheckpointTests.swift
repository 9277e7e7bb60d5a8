import Linux
import OCI
import SystemPackage
import Testing

@testable import OCIRuntime

@Suite("What CRIU is told, and what it says")
struct CheckpointTests {
    @Test("messages have protobuf's bytes")
    func bytes() {
        var inner = ProtobufMessage()
        inner.put(1, "ab")
        var message = ProtobufMessage()
        message.put(1, 300)
        message.put(3, true)
        message.put(17, -1)
        message.put(23, inner)
        #expect(
            message.bytes == [0x08, 0xac, 0x02, 0x18, 1, 0x88, 0x01] + [UInt8](repeating: 0xff, count: 9) + [1, 0xba, 0x01, 4, 0x0a, 2, 0x61, 0x62])
    }

    @Test("a message is read back, whatever else is in it")
    func reading() throws {
        var inner = ProtobufMessage()
        inner.put(1, "orphan-pts-master")
        inner.put(2, 77)
        var message = ProtobufMessage()
        message.put(1, 6)
        message.put(1, 7)
        message.put(5, inner)
        // A double and a float, which nobody asks for.
        let others: [UInt8] = [0x49, 1, 2, 3, 4, 5, 6, 7, 8, 0x55, 1, 2, 3, 4]
        let fields = try #require(ProtobufFields((message.bytes + others)[...]))
        #expect(fields.number(1) == 7 && fields.number(2) == nil)
        #expect(fields.message(5)?.text(1) == "orphan-pts-master" && fields.message(5)?.number(2) == 77)
    }

    @Test(
        "what is no message is none",
        arguments: [
            [0x08], [0x08, 0x80], [0x0a, 5, 1], [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], [0x00, 1], [0x0b], [0x09, 1],
        ] as [[UInt8]])
    func nonsense(_ bytes: [UInt8]) {
        #expect(ProtobufFields(bytes[...]) == nil)
    }

    @Test("flags get to CRIU under their numbers")
    func options() throws {
        try withDirectory { path in
            var request = CheckpointRequest()
            request.imagePath = path.appending("images").string
            let images = try ImageDirectory(request, isDump: true)
            request.tcpEstablished = true
            request.fileLocks = true
            request.leaveRunning = true
            request.parentPath = "../first"
            request.pageServer = ("::1", 27)
            request.cgroupMode = .strict
            var options = request.options(images, log: "dump.log")
            request.putDumpOptions(&options)
            let fields = try #require(ProtobufFields(options.bytes[...]))
            #expect(fields.number(1) == Int(images.images.raw) && fields.number(17) == Int(images.work.raw) && fields.text(10) == "dump.log")
            #expect([3, 5, 8, 12, 15, 24, 50].allSatisfy { fields.number($0) == 1 })
            #expect([4, 7, 16, 18, 46, 48].allSatisfy { fields.number($0) == 0 })
            #expect(fields.number(34) == 5 && fields.number(38) == 0x4000_0000 && fields.text(14) == "../first")
            #expect(fields.message(11)?.text(1) == "::1" && fields.message(11)?.number(2) == 27)
            request.lsmProfile = "apparmor:x"
            #expect(request.neededVersion(RuntimeSpec()).number == 31600)
            #expect(request.neededVersion(RuntimeSpec(process: .init(noNewPrivileges: true))).number == 31900)
            var restore = request.options(images, log: "restore.log")
            request.putRestoreOptions(&restore)
            let others = try #require(ProtobufFields(restore.bytes[...]))
            #expect(others.number(26) == 1 && others.text(53) == "apparmor:x" && others.number(3) == nil)
        }
    }

    @Test("the streams of images are those that CRIU may be given others for")
    func streams() throws {
        try withDirectory { path in
            var request = CheckpointRequest()
            request.imagePath = path.string
            let images = try ImageDirectory(request, isDump: true)
            let names = ["/dev/null", "pipe:[5]", "pipe:[5]"]
            try images.write(streams: names)
            #expect(try images.readStreams() == names)
            var options = ProtobufMessage()
            StandardStreams.putInherited(names, first: 4, &options)
            let inherited = try #require(ProtobufFields(options.bytes[...])?.message(27))
            #expect(inherited.text(1) == "pipe:[5]" && inherited.number(2) == 5)
            var none = ProtobufMessage()
            StandardStreams.putInherited(["/etc/passwd", "socket:[1]"], first: 4, &none)
            #expect(none.bytes.isEmpty)
        }
    }

    @Test("binds have the place as their name, and the configuration's source")
    func mounts() throws {
        var spec = RuntimeSpec()
        spec.mounts = [
            .init(destination: "/proc", type: "proc", source: "proc"),
            .init(destination: "/data/./x", type: "bind", source: "sub", options: ["ro"]),
            .init(destination: "/data/x", type: "bind", source: "sub", options: ["remount", "bind"]),
        ]
        var options = ProtobufMessage()
        ExternalMounts(spec: spec).putSources(bundle: "/bundle", &options)
        var mount = ProtobufMessage()
        mount.put(1, "/data/x")
        mount.put(2, "/bundle/sub")
        var expected = ProtobufMessage()
        expected.put(23, mount)
        #expect(options == expected)
    }

    @Test("the last error of a log is one that says something")
    func lastError() {
        let log = """
            (00.1) Warn  (criu/x.c:1): nothing
            (00.7) Error (criu/files-reg.c:1710): Can't lookup mount=32 for fd=1 path=/out
            (00.7) Error (criu/cr-dump.c:1635): Dump files (pid: 167) failed with -1
            (00.8) Error (criu/cr-dump.c:2053): Dumping FAILED.

            """
        #expect(ImageDirectory.lastError(Array(log.utf8)) == "Error (criu/files-reg.c:1710): Can't lookup mount=32 for fd=1 path=/out")
        #expect(ImageDirectory.lastError(Array("x\n(0) Error (a): Dumping FAILED.\n".utf8)) == "Error (a): Dumping FAILED.")
        #expect(ImageDirectory.lastError([]) == nil)
    }

    @Test("only a descriptor that was inherited and can be written to is a status descriptor")
    func statusDescriptor() {
        func obstacle(_ text: String) -> String? { CheckpointRequest.statusObstacle(Array(text.utf8)) }
        #expect(obstacle("pos:\t0\nflags:\t0100001\nmnt_id:\t15\n") == nil)
        #expect(obstacle("pos:\t0\nflags:\t02\n") == nil)
        #expect(obstacle("pos:\t0\nflags:\t0100000\n") == "not writable")
        #expect(obstacle("pos:\t0\nflags:\t02100001\n") == "bad file descriptor")
        #expect(obstacle("") == "bad file descriptor")
        #expect(CheckpointRequest.statusObstacle(nil) == "bad file descriptor")
    }

    private func withDirectory(_ body: (FilePath) throws -> Void) throws {
        let path = FilePath("/tmp/skiff-checkpoint-\(UInt64.random(in: .min ... .max))")
        try makeDirectories(path)
        defer { try? removeTree(path) }  // A left-over in the temporary directory does no harm.
        try body(path)
    }
}
