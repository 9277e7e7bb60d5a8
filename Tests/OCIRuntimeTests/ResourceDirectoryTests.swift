import Glibc
import Linux
import OCI
import SystemPackage
import Testing

@testable import OCIRuntime

/// A directory that looks like the resctrl file system; the kernel's files are ordinary ones here.
@Suite("Classes of service for caches and memory bandwidth")
struct ResourceDirectoryTests {
    private func with(_ body: (FilePath) throws -> Void) throws {
        let root = FilePath("/tmp/skiff-rdt-\(UInt64.random(in: .min ... .max))")
        try makeDirectories(root)
        defer { try? removeTree(root) }  // A left-over in the temporary directory does no harm.
        try body(root)
    }

    private func makeGroup(_ group: FilePath, schemata: String = "") throws {
        try makeDirectories(group)
        for (name, text) in [("tasks", ""), ("schemata", schemata)] {
            try writeAtomically(Array(text.utf8), to: group.appending(name), sync: false)
        }
    }

    private func text(_ path: FilePath) throws -> String {
        String(decoding: try OwnedFD.open(path, .readOnly).readAll(limit: 4096), as: UTF8.self)
    }

    @Test("the lines are written in the order that the specification wants, then the process is moved in")
    func lines() throws {
        try with { root in
            try makeGroup(root.appending("box"))
            let wanted = RuntimeSpec.IntelRdt(
                schemata: ["L2:0=f"], l3CacheSchema: "L3:0=ff", memBwSchema: "MB:0=50")
            try ResourceDirectory(wanted, id: "box", root: root).enter(42)
            #expect(try text(root.appending("box/schemata")) == "L3:0=ff\nMB:0=50\nL2:0=f\n")
            #expect(try text(root.appending("box/tasks")) == "42")
            try ResourceDirectory(wanted, id: "box", root: root).join(77)
            #expect(try text(root.appending("box/tasks")) == "77")
        }
    }

    @Test("a class that exists has to be what is wanted, one without lines has to exist")
    func existing() throws {
        try with { root in
            try makeGroup(root.appending("gold"), schemata: "    L3:0=ff;1=ff\n    MB:0= 50\n")
            try ResourceDirectory(.init(closID: "gold", memBwSchema: "MB:0=50"), id: "box", root: root).enter(1)
            #expect(throws: LaunchError.self) {
                try ResourceDirectory(.init(closID: "gold", memBwSchema: "MB:0=60"), id: "box", root: root).enter(1)
            }
            try ResourceDirectory(.init(closID: "gold"), id: "box", root: root).enter(2)
            #expect(throws: LaunchError.self) { try ResourceDirectory(.init(closID: "none"), id: "box", root: root).enter(1) }
        }
    }

    @Test("names that lead elsewhere, schemas of several lines, and a machine without resctrl are refused")
    func refusals() {
        let wrong: [RuntimeSpec.IntelRdt] = [
            .init(closID: ".."), .init(closID: "a/b"), .init(closID: "info"), .init(closID: ""), .init(schemata: ["L3:0=f\nMB:0=1"]),
            .init(memBwSchema: "L3:0=1"),
        ]
        for wanted in wrong {
            #expect(throws: LaunchError.self) { try ResourceDirectory(wanted, id: "box", root: "/tmp") }
        }
        if access("/sys/fs/resctrl/schemata", F_OK) != 0 {
            let error = #expect(throws: LaunchError.self) { try ResourceDirectory(.init(), id: "box") }
            #expect(error?.message.contains("no resctrl file system is mounted") == true)
        }
    }
}
