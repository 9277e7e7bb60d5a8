import Linux
import OCIRuntime
import SystemPackage

extension Commands {
    private static let common: [Command.Option] = [
        .init("image-path", value: "DIR", "where the checkpoint lies (default: checkpoint)"),
        .init("work-path", value: "DIR", "where CRIU keeps its log"),
        .init("tcp-established", "allow open tcp connections"),
        .init("ext-unix-sk", "allow external unix sockets"),
        .init("shell-job", "allow shell jobs"),
        .init("file-locks", "handle file locks, for safety"),
        .init("lazy-pages", "use userfaultfd to restore memory lazily"),
        .init("auto-dedup", "remove what later images have as well"),
        .init("manage-cgroups-mode", value: "soft|full|strict|ignore", "cgroups mode"),
        .init("empty-ns", value: "network", "a namespace to dump without its contents"),
        .init("network-lock", value: "METHOD", "how CRIU locks the network: iptables or nftables"),
    ]

    static let checkpoint = Command(
        name: "checkpoint", usage: "<container-id>", words: 1...1, text: "checkpoint a running container (needs CRIU)",
        options: common + [
            .init("parent-path", value: "DIR", "path of a previous checkpoint, relative to the image path"),
            .init("leave-running", "leave the process running after checkpointing"),
            .init("pre-dump", "dump container's memory information only, leave the container running after this"),
            .init("page-server", value: "ADDRESS:PORT", "send pages to a CRIU page server"),
            .init("status-fd", value: "FD", "CRIU writes a zero byte to it once it is ready"),
            .init("tcp-skip-in-flight", "skip in-flight tcp connections"),
            .init("link-remap", "allow to link unlinked files back when possible"),
        ]
    ) { root, options in
        var request = try request(options)
        request.parentPath = options["parent-path"]
        request.pageServer = options["page-server"]
        request.statusDescriptor = try options.number("status-fd").map { Int32($0) }
        request.leavesRunning = options.has("leave-running")
        request.isPreDump = options.has("pre-dump")
        request.flags += switches(options, ["tcp-skip-in-flight": "--skip-in-flight", "link-remap": "--link-remap"])
        try root.checkpoint(options.rest[0], request)
        return 0
    }

    static let restore = Command(
        name: "restore", usage: "<container-id>", words: 1...1, text: "restore a container from a previous checkpoint (needs CRIU)",
        options: common + creation.filter { ["bundle", "console-socket", "pid-file", "no-subreaper", "no-pivot"].contains($0.names[0]) } + [
            .init("detach", "d", "detach from the container's process"),
            .init("tcp-close", "close tcp connections"),
            .init("lsm-profile", value: "TYPE:NAME", "an LSM profile for the restored processes, as apparmor:NAME"),
            .init("lsm-mount-context", value: "CONTEXT", "an LSM mount context for the restored mounts"),
        ]
    ) { root, options in
        var criu = try request(options)
        criu.flags += switches(options, ["tcp-close": "--tcp-close"])
        for name in ["lsm-profile", "lsm-mount-context"] {
            if let value = options[name] { criu.flags += ["--\(name)", value] }
        }
        criu = criu.absolute(to: FilePath(try Identity.workingDirectory()))
        let directory = try bundle(options)
        return try root.restore(
            options.rest[0], bundle: directory, try request(options, detach: options.has("detach")), criu)
    }

    private static func request(_ options: Options) throws -> CriuRequest {
        let modes = ["soft", "full", "strict", "ignore"]
        if let mode = options["manage-cgroups-mode"], !modes.contains(mode) { throw RuntimeError("Invalid manage-cgroups-mode value") }
        for name in options.values["empty-ns"] ?? [] where name != "network" { throw RuntimeError("namespace \(name) is not supported") }
        var request = CriuRequest(images: options["image-path"] ?? "checkpoint", work: options["work-path"])
        request.cgroups = options["manage-cgroups-mode"]
        request.flags = switches(
            options,
            [
                "tcp-established": "--tcp-established", "ext-unix-sk": "--ext-unix-sk", "shell-job": "--shell-job", "file-locks": "--file-locks",
                "lazy-pages": "--lazy-pages", "auto-dedup": "--auto-dedup",
            ])
        if options["empty-ns"] != nil { request.flags += ["--empty-ns", "net"] }
        if let method = options["network-lock"] { request.flags += ["--network-lock", method] }
        return request
    }

    private static func switches(_ options: Options, _ names: [String: String]) -> [String] {
        names.filter { options.has($0.key) }.map(\.value).sorted()
    }
}
