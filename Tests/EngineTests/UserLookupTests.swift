import Glibc
import Linux
import SystemPackage
import Testing

@testable import Engine

/// The files that say who is who come from an image, which may put anything in their place.
struct UserLookupTests {
    private func withRoot(_ body: (FilePath) throws -> Void) throws {
        let root = FilePath("/tmp/skiff-users-\(UInt64.random(in: 0 ... .max))")
        try makeDirectories(root.appending("etc"))
        defer { try? removeTree(root) }
        try body(root)
    }

    private func identity(_ user: String, in root: FilePath) throws -> UserLookup.Identity {
        try UserLookup(root: try OwnedFD.open(root, [.path, .directory])).identity(user)
    }

    @Test("a link is followed inside the root only; a pipe and a device are no such file", arguments: ["passwd", "group"])
    func otherKinds(name: String) throws {
        try withRoot { root in
            let file = root.appending("etc/\(name)")
            try writeAtomically(Array("root:x:77:77::/inside:\n".utf8), to: root.appending("etc/inside"), sync: false)
            #expect(symlink("/../../etc/inside", file.string) == 0)
            if name == "passwd" { #expect(try identity("root", in: root).uid == 77) }
            for target in ["/dev/zero", "/proc/self/fd/0", "loop-\(name)", "/etc/\(name)"] {
                unlink(file.string)
                #expect(symlink(target, file.string) == 0)
                // Also a link that leads to itself: an error or nobody, never the host's file.
                let found = try? identity("nobody-of-the-image", in: root)
                #expect(found == nil)
                #expect((try? identity("5", in: root))?.uid ?? 5 == 5)
            }
            unlink(file.string)
            #expect(mkfifo(file.string, 0o644) == 0)
            #expect(try identity("5", in: root).uid == 5)
        }
    }

    @Test("10 GB are refused, many lines and fields are read in bounds")
    func large() throws {
        try withRoot { root in
            let file = root.appending("etc/passwd")
            let large = try OwnedFD.open(file, [.writeOnly, .create])
            #expect(ftruncate(large.raw, 10 << 30) == 0)
            #expect(throws: (any Error).self) { try identity("5", in: root) }
            try writeAtomically([UInt8](repeating: 10, count: 1 << 18), to: file, sync: false)
            #expect(try identity("5", in: root).uid == 5)
            try writeAtomically([UInt8](repeating: UInt8(ascii: ":"), count: 1 << 18), to: file, sync: false)
            #expect(try identity("5", in: root).uid == 5)
        }
    }

    @Test(
        "an entry whose numbers are none makes nobody root",
        arguments: ["alice:x:4294967296:1::/:", "alice:x:-1:1::/:", "alice:x::::/:", "alice:x:0x0:0::/:", "alice:x: 0:0::/:", "alice:x", "alice"])
    func malformed(line: String) throws {
        let users = UserLookup(passwd: line + "\n", group: "staff:x:4294967296:bob\nodd:x:zero:bob\n")
        #expect(throws: EngineError.self) { try users.identity("alice") }
        #expect(throws: EngineError.self) { try users.identity("5:staff") }
        #expect(throws: EngineError.self) { try users.identity("alice:") }
        let bob = try UserLookup(passwd: "bob:x:7:8::/:\nbob:x:0:0::/:\n", group: "staff:x:4294967296:bob\nreal:x:9:bob,bob\n").identity("bob")
        #expect(bob.uid == 7 && bob.gid == 8 && bob.groups == [8, 9])
    }

    @Test("the group itself is among the groups, once and first: who gives it up gains nothing")
    func ownGroup() throws {
        let users = UserLookup(passwd: "bob:x:7:8::/:\n", group: "own:x:8:bob\nreal:x:9:bob\n")
        #expect(try users.identity("bob").groups == [8, 9])
        #expect(try users.identity("bob:own").groups == [8])
        #expect(try users.identity("5:6", additionalGroups: ["own", "6"]).groups == [6, 8])
        #expect(try users.identity("").groups == [0])
    }
}
