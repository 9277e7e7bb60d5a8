import DockerAPI
import OCI
import Testing

@testable import Engine

@Suite("what an update changes")
struct ChangeTests {
    private func update(_ set: (inout ContainerUpdateRequest) -> Void) -> ContainerUpdateRequest {
        var update = ContainerUpdateRequest()
        set(&update)
        return update
    }

    @Test("labels and variables: those that are keep their places, new ones come last, what is not there may go")
    func description() throws {
        var config = ContainerConfig()
        config.Labels = ["a": "1", "b": "2"]
        config.Env = ["A=1", "B=2", "C=3"]
        let change = try DescriptionChange(
            update {
                $0.Labels = ["b": "3", "c": ""]
                $0.LabelsRemoved = ["a", "z"]
                $0.Env = ["B=x=y", "D=4"]
                $0.EnvRemoved = ["A", "Z"]
            })
        #expect(change.apply(to: &config))
        #expect(config.Labels == ["b": "3", "c": ""])
        #expect(config.Env == ["B=x=y", "C=3", "D=4"])
        #expect(!change.apply(to: &config))
        let labelsOnly = try DescriptionChange(update { $0.Labels = ["d": "4"] })
        #expect(!labelsOnly.apply(to: &config))
        #expect(config.Labels?["d"] == "4")
    }

    @Test("what is no variable and no label is refused", arguments: ["", "A", "=x", "A=\0"])
    func refusedVariables(text: String) {
        #expect(throws: EngineError.self) { try DescriptionChange(update { $0.Env = [text] }) }
        #expect(throws: EngineError.self) { try DescriptionChange(update { $0.EnvRemoved = [text.isEmpty ? "" : "A=1"] }) }
        #expect(throws: EngineError.self) { try DescriptionChange(update { $0.Labels = ["": text] }) }
    }

    private func mount(_ target: String) -> Mount {
        var mount = Mount()
        mount.`Type` = "tmpfs"
        mount.Target = target
        return mount
    }

    private func resolved(_ destinations: String...) -> [ResolvedMount] {
        destinations.map { ResolvedMount(kind: .tmpfs, destination: $0) }
    }

    @Test("mounts come and go in every part of a container's description")
    func mounts() throws {
        var host = HostConfig()
        host.Binds = ["/src:/b:ro", "name:/n", "/anonymous"]
        host.Tmpfs = ["/t": "size=1m", "/kept": ""]
        host.Mounts = [mount("/m/"), mount("/stays")]
        let change = try MountsChange(
            update {
                $0.Mounts = [self.mount("/new")]
                $0.MountsRemoved = ["/b/", "/anonymous", "/t", "/m", "//declared"]
            })
        let changed = change.applied(to: host)
        #expect(changed.Binds == ["name:/n"])
        #expect(changed.Tmpfs == ["/kept": ""])
        #expect(changed.Mounts?.map(\.Target) == ["/stays", "/new"])
        #expect(change.applied(to: ["/declared": EmptyObject(), "/other": EmptyObject()])?.keys.sorted() == ["/other"])
        #expect(change.applied(to: nil as [String: EmptyObject]?) == nil)
        #expect(try !change.isEmpty && MountsChange(ContainerUpdateRequest()).isEmpty)
    }

    @Test("the deepest mounts go first, and only those that are there")
    func leaving() throws {
        let change = try MountsChange(update { $0.MountsRemoved = ["/a", "/a/b", "/a/"] })
        #expect(try change.leaving(from: resolved("/a", "/a/b", "/c")).map(\.destination) == ["/a/b", "/a"])
        #expect(throws: EngineError.self) { try change.leaving(from: resolved("/a")) }
        for path in ["relative", "", "/nul\0"] {
            #expect(throws: EngineError.self) { try MountsChange(update { $0.MountsRemoved = [path] }) }
        }
    }

    @Test("what is there stays uncovered")
    func covering() throws {
        #expect(throws: EngineError.self) { try MountsChange.check(resolved("/a"), with: resolved("/a")) }
        #expect(throws: EngineError.self) { try MountsChange.check(resolved("/a", "/a"), with: []) }
        try MountsChange.check(resolved("/a", "/a/b"), with: resolved("/c"))
        for place in ["/proc", "/dev", "/etc", "/x"] {
            #expect(throws: EngineError.self) {
                try MountsChange.checkCovers(resolved(place), over: ["/proc", "/dev", "/dev/pts", "/etc/hosts", "/x/y"])
            }
        }
        try MountsChange.checkCovers(resolved("/etc/hosts.d", "/x/y/z", "/dev/disk"), over: ["/proc", "/dev", "/etc/hosts", "/x/y"])
    }
}

@Suite("owners of mounts")
struct OwnerMappingTests {
    @Test("an owner and a user change places, and all others are as they are")
    func swapping() throws {
        let mapping = try OwnerMapping("owner")
        #expect(try OwnerMapping("") == mapping)
        #expect(mapping.tables(owner: .init(user: 7, group: 8), user: .init(user: 7, group: 8)) == nil)
        let tables = try #require(mapping.tables(owner: .init(user: 1000, group: 5), user: .init(user: 0, group: 5)))
        #expect(
            tables.users == [
                .init(containerID: 0, hostID: 1000, size: 1), .init(containerID: 1, hostID: 1, size: 999),
                .init(containerID: 1000, hostID: 0, size: 1), .init(containerID: 1001, hostID: 1001, size: UInt32.max - 1001),
            ])
        #expect(tables.groups == [.init(containerID: 0, hostID: 0, size: UInt32.max)])
    }

    @Test("tables are read as Podman writes them")
    func tables() throws {
        let mapping = try OwnerMapping("uids=0-1000-10#@20-30-1;gids=5-6-1")
        let tables = try #require(mapping.tables(owner: .init(user: 1, group: 1), user: .init(user: 1, group: 1)))
        #expect(tables.users == [.init(containerID: 0, hostID: 1000, size: 10), .init(containerID: 20, hostID: 30, size: 1)])
        #expect(tables.groups == [.init(containerID: 5, hostID: 6, size: 1)])
        let half = try #require(try OwnerMapping("gids=5-6-1").tables(owner: .init(user: 1, group: 1), user: .init(user: 1, group: 1)))
        #expect(half.users == [.init(containerID: 0, hostID: 0, size: UInt32.max)])
    }

    @Test(
        "what is no table is refused",
        arguments: [
            "no", "uids=", "uids=1-2", "uids=1-2-0", "uids=1-2-3;uids=4-5-6", "uids=1-2-3;", "uids=-1-2-3", "uids=0-1-4294967295",
            "uids=0-0-10#5-20-1", "uids=0-0-10#20-5-1", "users=1-2-3",
        ])
    func refused(text: String) {
        #expect(throws: EngineError.self) { try OwnerMapping(text) }
    }
}

@Suite("options of logs")
struct LogOptionTests {
    private func options(_ driver: String, _ options: [String: String] = [:]) throws -> LogOptions {
        var config = LogConfig()
        config.`Type` = driver
        config.Config = options
        return try LogOptions(config)
    }

    @Test("every log has a limit")
    func limits() throws {
        #expect(try LogOptions(nil) == .standard)
        let small = try options("json-file", ["max-size": "1.5k"])
        #expect((small.maxBytes, small.maxFiles, small.compresses) == (1500, 1, false))
        #expect(try options("json-file", ["max-size": "1m", "max-file": "3", "compress": "true"]).compresses)
        #expect(try options("local").compresses && !options("local", ["compress": "0"]).compresses)
        #expect(try options("", ["mode": "non-blocking"]).buffer == 1 << 20)
        #expect(try options("json-file", ["mode": "non-blocking", "max-buffer-size": "2k"]).buffer == 2048)
        #expect(try options("none", ["mode": "blocking"]).buffer == nil)
    }

    @Test("sizes as Docker reads them")
    func sizes() {
        for (text, bytes) in [("10", 10), ("10k", 10_000), ("1.5 GB", 1_500_000_000), ("2KiB", 2000), ("1t", 1_000_000_000_000)] as [(String, Int64)]
        {
            #expect(LogOptions.size(text) == bytes, "\(text)")
        }
        #expect(LogOptions.size("2k", thousand: 1024) == 2048)
        for text in ["", "k", "-1", "1x", "1kk", "١", "99999999999p", "1.2.3"] { #expect(LogOptions.size(text) == nil, "\(text)") }
    }

    @Test(
        "what cannot be is refused",
        arguments: [
            ("syslog", [:]), ("json-file", ["max-size": "0"]), ("json-file", ["max-file": "0"]), ("json-file", ["max-file": "1001"]),
            ("json-file", ["max-file": "x"]), ("json-file", ["compress": "true", "max-file": "1"]), ("local", ["max-file": "1", "compress": "true"]),
            ("json-file", ["compress": "maybe"]), ("json-file", ["mode": "other"]), ("json-file", ["max-buffer-size": "1m"]),
            ("json-file", ["mode": "non-blocking", "max-buffer-size": "0"]), ("journald", ["max-size": "1m"]), ("none", ["tag": "x"]),
            ("json-file", ["nonsense": "1"]), ("json-file", ["env-regex": "("]),
        ] as [(String, [String: String])])
    func refused(driver: String, given: [String: String]) {
        #expect(throws: EngineError.self) { try options(driver, given) }
    }
}
