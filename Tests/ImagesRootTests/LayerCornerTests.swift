import Archive
import Images
import Linux
import OCI
import Store
import SystemPackage
import Testing

/// What layers may hold besides files, and what they must not do.
@Suite(.enabled(if: isRoot())) struct LayerCornerTests {
    /// POSIX.1e as the kernel keeps it: version 2, then tag, permissions and id of each entry, little-endian.
    private let accessList: [UInt8] =
        [2, 0, 0, 0] + [1, 0, 6, 0, 255, 255, 255, 255] + [2, 0, 4, 0, 232, 3, 0, 0] + [4, 0, 4, 0, 255, 255, 255, 255]
        + [16, 0, 4, 0, 255, 255, 255, 255] + [32, 0, 0, 0, 255, 255, 255, 255]

    @Test("access lists arrive, and go into a layer again")
    func accessLists() async throws {
        try await TestStore.with { store in
            let names = ["system.posix_acl_access", "system.posix_acl_default"]
            let layer = try await store.layer([
                TarEntry(path: Array("d/".utf8), kind: .directory, mode: 0o750, attributes: names.map { .init(name: $0, value: accessList) }),
                TarEntry(path: Array("d/f".utf8), kind: .file, mode: 0o640, attributes: [.init(name: names[0], value: accessList)]),
                file("d/plain", mode: 0o666),
            ])
            let root = try OwnedFD.open(store.layers.path(layer), [.readOnly, .directory])
            #expect(try xattrsat(root, "d").map(\.name) == names)
            #expect(try fstatat(root, "d").permissions == 0o640)
            let folder = try openat(root, "d", [.readOnly, .directory])
            #expect(try xattrsat(folder, "f").first?.value == accessList)
            // Unpacking is not making: nothing is inherited.
            #expect(try xattrsat(folder, "plain").isEmpty)
            #expect(try fstatat(folder, "plain").permissions == 0o666)

            let again = try await store.layers.commit(copyOf: store.layers.path(layer))
            let copy = try OwnedFD.open(store.layers.path(again), [.readOnly, .directory])
            #expect(try xattrsat(copy, "d").map(\.value) == [accessList, accessList])
        }
    }

    @Test("notes of overlays and security labels of other machines are left out, capabilities are not")
    func foreignAttributes() async throws {
        try await TestStore.with { store in
            let capability: [UInt8] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            let all = [
                "trusted.overlay.opaque", "user.overlay.opaque", "security.selinux", "security.ima", "security.evm", "user.kept", "trusted.kept",
            ]
            let layer = try await store.layer([
                TarEntry(
                    path: Array("d/".utf8), kind: .directory, mode: 0o755, attributes: all.map { .init(name: $0, value: [121]) }),
                TarEntry(
                    path: Array("f".utf8), kind: .file, mode: 0o4755, uid: 7,
                    attributes: [.init(name: "security.capability", value: capability)]),
            ])
            let root = try OwnedFD.open(store.layers.path(layer), [.readOnly, .directory])
            #expect(try xattrsat(root, "d").map(\.name) == ["trusted.kept", "user.kept"])
            #expect(try xattrsat(root, "f").map(\.name) == ["security.capability"])
            #expect(try fstatat(root, "f").permissions == 0o4755)
        }
    }

    @Test("a device node of an archive is no way to a disk of the host: its directory is closed, and it carries what it says")
    func devices() async throws {
        try await TestStore.with { store in
            let layer = try await store.layer([
                TarEntry(path: Array("disk".utf8), kind: .blockDevice, mode: 0o666, deviceMajor: 8, deviceMinor: 1_048_575),
                TarEntry(path: Array("pipe".utf8), kind: .fifo, mode: 0o1644),
            ])
            let root = try OwnedFD.open(store.layers.path(layer), [.readOnly, .directory])
            let disk = try fstatat(root, "disk")
            #expect((disk.deviceMajor, disk.deviceMinor, disk.permissions) == (8, 1_048_575, 0o666))
            #expect(try fstatat(root, "pipe").permissions == 0o1644)
            #expect(try lstatIfExists(store.root)?.permissions == 0o700)
        }
    }

    @Test("a hundred thousand white-outs are as many names, and the layer goes as it came", .timeLimit(.minutes(5)))
    func whiteouts() async throws {
        try await TestStore.with { store in
            let count = 100_000
            let tar = try ProducedSource { sink in
                let writer = TarWriter(sink)
                for index in 0..<count { try writer.begin(TarEntry(path: Array("d/.wh.\(index)".utf8), kind: .file)) }
                try writer.finish()
            }
            let path = store.root.appending("flood.tar")
            let file = SharedFD(try OwnedFD.open(path, [.writeOnly, .create]))
            try tar.copyAll(to: FileSink(file))
            let layer = try await store.layers.unpack(from: SharedFD(try OwnedFD.open(path, .readOnly)))
            let folder = try OwnedFD.open(store.layers.path(layer).appending("d"), [.readOnly, .directory])
            #expect(try namesInDirectory(folder).count == count)
            #expect(try fstatat(folder, "77").isWhiteout)
            #expect(try await store.layers.removeUnused().layers == [layer])
        }
    }

    @Test("an opaque mark works wherever it stands in the archive, and a name can come back after its white-out")
    func opaque() async throws {
        try await TestStore.with { store in
            let base = try await store.layer([folder("d/"), file("d/old"), file("e")])
            let top = try await store.layer(
                [file("d/new"), file("d/.wh..wh..opq"), file(".wh.e"), file("e"), file("d/.wh..wh.plnk")], contents: ["e": "back", "d/new": "n"])
            let mount = try store.layers.mount(layers: [base, top], upper: nil, work: nil)
            #expect(try content("d/old", in: mount) == nil)
            #expect(try content("d/new", in: mount) == "n")
            #expect(try content("e", in: mount) == "back")
            await #expect(throws: (any Error).self) { try await store.layer([file("d/.wh.")]) }
            await #expect(throws: (any Error).self) { try await store.layer([file(".wh...")]) }
        }
    }
}
