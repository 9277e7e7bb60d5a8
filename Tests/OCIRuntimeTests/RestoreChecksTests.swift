import Linux
import OCI
import SystemPackage
import Testing

@testable import OCIRuntime

@Suite("What images may bring")
struct RestoreChecksTests {
    private func status(
        bounding: String = "0000000000000020", ambient: String = "0000000000000000", seccomp: Int = 2, noNewPrivileges: Int = 1
    ) -> [UInt8] {
        let text = """
            Name:\tsh
            CapInh:\t0000000000000000
            CapPrm:\t0000000000000020
            CapEff:\t0000000000000020
            CapBnd:\t\(bounding)
            CapAmb:\t\(ambient)
            NoNewPrivs:\t\(noNewPrivileges)
            Seccomp:\t\(seccomp)
            Seccomp_filters:\t1

            """
        return Array(text.utf8)
    }

    private var spec: RuntimeSpec {
        var spec = RuntimeSpec()
        spec.process.capabilities = .init(bounding: ["CAP_KILL"])
        spec.process.noNewPrivileges = true
        return spec
    }

    @Test("a thread has no more rights than the configuration gives")
    func rights() throws {
        let rights = RestoredRights(spec)
        #expect(rights.obstacle(status(), isFirst: true) == nil)
        #expect(rights.obstacle(status(bounding: "0000000000000021"), isFirst: true) == "has capabilities (CapBnd) that it does not give")
        #expect(rights.obstacle(status(ambient: "8000000000000000"), isFirst: false) == "has capabilities (CapAmb) that it does not give")
        #expect(rights.obstacle(status(noNewPrivileges: 0), isFirst: true) == "may get new privileges (noNewPrivileges)")
        // A later one has been given what its caller wanted.
        #expect(rights.obstacle(status(noNewPrivileges: 0), isFirst: false) == nil)
        #expect(rights.obstacle(status(seccomp: 0), isFirst: true) == nil)
        #expect(rights.obstacle([], isFirst: false) != nil)
    }

    @Test("a label is the one of the configuration or the one that the caller wants in its place")
    func labels() throws {
        var process = RuntimeSpec.Process()
        #expect(RestoredLabel.all(process, profile: "apparmor:x").isEmpty)
        process.apparmorProfile = ""
        process.selinuxLabel = "system_u:system_r:container_t:s0:c1,c2"
        let selinux = RestoredLabel(module: "selinux", text: "system_u:system_r:container_t:s0:c1,c2")
        #expect(RestoredLabel.all(process, profile: nil) == [selinux])
        #expect(RestoredLabel.all(process, profile: "selinux:a:b") == [RestoredLabel(module: "selinux", text: "a:b")])
        process.apparmorProfile = "skiff"
        let apparmor = RestoredLabel(module: "apparmor", text: "skiff")
        #expect(RestoredLabel.all(process, profile: "selinux:a").first == apparmor)
        #expect(apparmor.fits(Array("skiff (enforce)\n".utf8)) && apparmor.fits(Array("skiff".utf8)))
        #expect(!apparmor.fits(Array("skiff2 (enforce)\n".utf8)) && !apparmor.fits(Array("unconfined\n".utf8)) && !apparmor.fits([]))
        #expect(selinux.fits(Array(selinux.text.utf8) + [0]) && !selinux.fits(Array("\(selinux.text) (x)".utf8)))
    }

    @Test("a namespace is new, or the one of its path")
    func namespaces() throws {
        func identity(_ inode: UInt64) -> NamespaceIdentity { NamespaceIdentity(device: 4, inode: inode) }
        let namespaces = RestoredNamespaces(
            new: [.mount, .pid], joined: [(kind: .network, identity: identity(3))],
            outside: [
                (kind: .mount, identity: identity(1)), (kind: .mount, identity: identity(2)), (kind: .network, identity: identity(9)),
                (kind: .uts, identity: identity(5)),
            ])
        for inode in [1, 2] as [UInt64] {
            #expect(namespaces.obstacle(.mount, identity(inode), isFirst: true) == "is in that of the host")
            #expect(namespaces.obstacle(.mount, identity(inode), isFirst: false) == "is in that of the host")
        }
        #expect(namespaces.obstacle(.mount, identity(7), isFirst: true) == nil)
        #expect(namespaces.obstacle(.mount, NamespaceIdentity(device: 5, inode: 1), isFirst: true) == nil)
        #expect(namespaces.obstacle(.network, identity(3), isFirst: true) == nil)
        #expect(namespaces.obstacle(.network, identity(7), isFirst: true) == "is not in the one of the path")
        #expect(namespaces.obstacle(.network, identity(7), isFirst: false) == nil)
        #expect(namespaces.obstacle(.network, identity(9), isFirst: false) == "is in that of the host")
        #expect(namespaces.obstacle(.uts, identity(5), isFirst: true) == nil)
        #expect(namespaces.obstacle(.pid, nil, isFirst: true) == "has no namespace of that kind")
        #expect(namespaces.obstacle(.pid, nil, isFirst: false) == nil)
    }

    @Test("the namespaces of a process are those of its threads")
    func ownNamespaces() throws {
        let own = try RestoredNamespaces.all(of: "/proc/self")
        #expect(own.contains { $0.kind == .mount })
        let other = try RestoredNamespaces.all(of: "/proc/thread-self")
        #expect(own.map { $0.identity } == other.map { $0.identity })
    }

    @Test("images are files that nobody else can write, and so are those before them")
    func images() throws {
        try withImages { path in
            let last = path.appending("last")
            func refusal() -> String {
                var request = CheckpointRequest()
                request.imagePath = last.string
                let error = #expect(throws: RuntimeError.self) { _ = try ImageDirectory(request, isDump: false) }
                return error?.description ?? ""
            }
            var request = CheckpointRequest()
            request.imagePath = last.string
            _ = try ImageDirectory(request, isDump: false)
            let (directory, before) = (HeldFD(try open(last)), HeldFD(try open(path.appending("first"))))

            try fchmodat(directory.fd, "core-1.img", mode: 0o620)
            #expect(refusal() == "\(last)/core-1.img: others than its owner may write there")
            try fchmodat(directory.fd, "core-1.img", mode: 0o644)
            try symlinkat(Array("core-1.img".utf8), directory.fd, "x")
            #expect(refusal() == "\(last)/x: it is a symbolic link, which no image is")
            try unlinkat(directory.fd, "x")

            try fchmodat(before.fd, "core-1.img", mode: 0o602)
            #expect(refusal() == "\(path)/first/core-1.img: others than its owner may write there")
            try fchmodat(before.fd, "core-1.img", mode: 0o600)
            try fchmod(before.fd, mode: 0o770)
            #expect(refusal() == "\(last)/parent: others than its owner may write there")
            try fchmod(before.fd, mode: 0o700)
            try symlinkat(Array(".".utf8), before.fd, "parent")
            #expect(refusal() == "\(path)/first/parent: there are more than 100 dumps before")
            try unlinkat(before.fd, "parent")
            try symlinkat(Array("nowhere".utf8), before.fd, "parent")
            #expect(refusal() == "\(path)/first/parent: no such file or directory")
            try unlinkat(before.fd, "parent")
            _ = try ImageDirectory(request, isDump: false)
        }
    }

    private func open(_ path: FilePath) throws -> OwnedFD { try OwnedFD.open(path, [.readOnly, .directory]) }

    /// Two directories with an image each, the `last` of which has the `first` as its parent.
    private func withImages(_ body: (FilePath) throws -> Void) throws {
        let path = FilePath("/tmp/skiff-images-\(UInt64.random(in: .min ... .max))")
        defer { try? removeTree(path) }  // A left-over in the temporary directory does no harm.
        for name in ["first", "last"] {
            try makeDirectories(path.appending(name))
            try OwnedFD.open(path.appending("\(name)/core-1.img"), [.writeOnly, .create]).writeAll([0])
        }
        try symlinkat(Array("../first".utf8), try open(path.appending("last")), "parent")
    }
}
