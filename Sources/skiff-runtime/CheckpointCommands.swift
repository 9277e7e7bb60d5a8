import Linux
import OCIRuntime
import SystemPackage

extension Commands {
    private static let common: [Command.Option] = [
        .init("image-path", value: "DIR", "path of CRIU's image files (default: checkpoint)"),
        .init("work-path", value: "DIR", "path for CRIU's log and work files (default: that of the images)"),
        .init("tcp-established", "allow open tcp connections"),
        .init("ext-unix-sk", "allow external unix sockets"),
        .init("shell-job", "allow shell jobs"),
        .init("lazy-pages", "use userfaultfd to lazily restore memory pages"),
        .init("file-locks", "handle file locks, for safety"),
        .init("manage-cgroups-mode", value: "MODE", "cgroups mode: soft (default), full, strict or ignore"),
        .init("empty-ns", value: "NAMESPACE", "do without the properties of a namespace: network, which is always so"),
        .init("auto-dedup", "enable auto deduplication of memory images"),
    ]

    static let checkpoint = Command(
        name: "checkpoint", usage: "<container-id>", words: 1...1, text: "checkpoint a running container",
        options: common + [
            .init("parent-path", value: "DIR", "path of the images of an earlier pre-dump, relative to the image path"),
            .init("leave-running", "leave the process running after checkpointing"),
            .init("tcp-skip-in-flight", "skip tcp connections that are not established yet"),
            .init("link-remap", "allow to link unlinked files back when possible"),
            .init("status-fd", value: "FD", "write \\0 to this descriptor once lazy-pages is ready"),
            .init("page-server", value: "ADDRESS:PORT", "address of the page server"),
            .init("pre-dump", "dump container's memory information only, leave the container running after this"),
        ]
    ) { root, options in
        var request = try checkpointRequest(options)
        request.parentPath = options["parent-path"].flatMap { $0.isEmpty ? nil : $0 }
        request.leaveRunning = options.has("leave-running")
        request.tcpSkipsInFlight = options.has("tcp-skip-in-flight")
        request.linkRemap = options.has("link-remap")
        request.preDump = options.has("pre-dump")
        if let status = options["status-fd"], status != "-1" {
            guard let number = Int32(status), number >= 0 else { throw RuntimeError("invalid --status-fd argument \(status)") }
            guard request.lazyPages else { throw RuntimeError("--status-fd needs --lazy-pages") }
            request.statusDescriptor = number
        }
        request.pageServer = try options["page-server"].map(pageServer)
        if request.preDump, request.lazyPages { throw RuntimeError("--pre-dump and --lazy-pages exclude each other") }
        try root.checkpoint(options.rest[0], request)
        return 0
    }

    static let restore = Command(
        name: "restore", usage: "<container-id>", words: 1...1, text: "restore a container from a previous checkpoint",
        options: common + creation.filter { ["bundle", "console-socket", "pid-file", "no-subreaper", "no-pivot"].contains($0.names[0]) } + [
            .init("detach", "d", "detach from the container's process"),
            .init("lsm-profile", value: "TYPE:NAME", "LSM profile to be used during restore"),
            .init("lsm-mount-context", value: "CONTEXT", "LSM mount context to be used during restore"),
        ]
    ) { root, options in
        if options.has("no-pivot") { throw RuntimeError("--no-pivot: criu always changes the root with pivot_root") }
        var images = try checkpointRequest(options)
        images.lsmProfile = options["lsm-profile"]
        images.lsmMountContext = options["lsm-mount-context"]
        if let profile = images.lsmProfile {
            let parts = profile.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, ["apparmor", "selinux"].contains(parts[0]) else {
                throw RuntimeError("invalid --lsm-profile \(profile): it is apparmor:NAME or selinux:LABEL")
            }
        }
        var request = ProcessRequest()
        request.consoleSocket = options["console-socket"]
        request.pidFile = options["pid-file"]
        request.detach = options.has("detach")
        return try root.restore(options.rest[0], bundle: FilePath(options["bundle"] ?? "."), images, request)
    }

    private static func checkpointRequest(_ options: Options) throws -> CheckpointRequest {
        var request = CheckpointRequest()
        if let path = options["image-path"], !path.isEmpty { request.imagePath = path }
        request.workPath = options["work-path"].flatMap { $0.isEmpty ? nil : $0 }
        request.tcpEstablished = options.has("tcp-established")
        request.externalUnixSockets = options.has("ext-unix-sk")
        request.shellJob = options.has("shell-job")
        request.lazyPages = options.has("lazy-pages")
        request.fileLocks = options.has("file-locks")
        request.autoDeduplication = options.has("auto-dedup")
        for namespace in options.all("empty-ns") where namespace != "network" {
            throw RuntimeError("namespace \"\(namespace)\" is not supported")
        }
        if let mode = options["manage-cgroups-mode"], !mode.isEmpty {
            guard let known = CheckpointRequest.CgroupMode(rawValue: mode) else { throw RuntimeError("Invalid manage-cgroups-mode value") }
            request.cgroupMode = known
        }
        return request
    }

    private static func pageServer(_ text: String) throws -> (address: String, port: Int) {
        guard let colon = text.lastIndex(of: ":") else { throw RuntimeError("Use --page-server ADDRESS:PORT to specify page server") }
        var address = text[..<colon]
        if address.hasPrefix("["), address.hasSuffix("]") { address = address.dropFirst().dropLast() }
        let port = text[text.index(after: colon)...]
        guard !address.isEmpty, !port.isEmpty else { throw RuntimeError("Use --page-server ADDRESS:PORT to specify page server") }
        guard let number = Int(port), 1...65535 ~= number else { throw RuntimeError("Invalid port number") }
        return (String(address), number)
    }
}
