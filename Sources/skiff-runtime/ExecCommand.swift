import Linux
import OCI
import OCIRuntime
import SystemPackage

extension Commands {
    static let exec = Command(
        name: "exec", usage: "<container-id> <command> [command options]  || -p process.json <container-id>", words: 1...Command.atMost,
        text: "execute new process inside the container",
        options: [
            .init("console-socket", value: "SOCKET", "unix socket which will receive the terminal's descriptor"),
            .init("pidfd-socket", value: "SOCKET", "unix socket which will receive a descriptor of the process"),
            .init("cwd", value: "DIR", "current working directory in the container"),
            .init("env", "e", value: "NAME=VALUE", "set environment variables"),
            .init("tty", "t", "allocate a pseudo-TTY"),
            .init("user", "u", value: "UID[:GID]", "user and group"),
            .init("additional-gids", "g", value: "GID", "additional gids"),
            .init("process", "p", value: "FILE", "path to the process.json"),
            .init("detach", "d", "detach from the container's process"),
            .init("pid-file", value: "FILE", "file to write the process id to"),
            .init("process-label", value: "LABEL", "set the SELinux label of the process"),
            .init("apparmor", value: "PROFILE", "set the AppArmor profile of the process"),
            .init("no-new-privs", "set the no new privileges value for the process"),
            .init("cap", "c", value: "CAPABILITY", "add a capability to the bounding set for the process"),
            .init("preserve-fds", value: "N", "pass N additional descriptors to the process (stdio + $LISTEN_FDS + N in total)"),
            .init("cgroup", value: "[CONTROLLER:]PATH", "run the process in an (existing) sub-cgroup"),
            .init("ignore-paused", "allow exec in a paused container"),
            .init("no-subreaper", "take no orphans in"),
        ]
    ) { root, options in
        let id = options.rest[0]
        var request = try request(options, detach: options.has("detach"))
        request.listenDescriptors = 0
        request.subgroups = options.all("cgroup")
        request.ignoresPause = options.has("ignore-paused")
        do {
            return try root.exec(id, try process(root, id, options), request)
        } catch let error as RuntimeError {
            throw RuntimeError(error.description, exitCode: 255)
        } catch let error as UsageError {
            throw error
        } catch {
            throw RuntimeError(runtimeText(error), exitCode: 255)
        }
    }

    private static func process(_ root: RuntimeRoot, _ id: String, _ options: Options) throws -> RuntimeSpec.Process {
        if let path = options["process"] {
            let file = try OwnedFD.open(FilePath(path), .readOnly)
            return try RuntimeSpec.Process(json: try JSONValue.parse(try file.readAll(limit: 4 << 20)))
        }
        guard options.rest.count > 1 else { throw RuntimeError("exec args cannot be empty") }
        var process = try root.execProcess(id, arguments: Array(options.rest.dropFirst()))
        process.terminal = options.has("tty")
        if let cwd = options["cwd"] { process.cwd = cwd }
        if let label = options["process-label"] { process.selinuxLabel = label }
        if let profile = options["apparmor"] { process.apparmorProfile = profile }
        process.env += options.all("env")
        if options.has("no-new-privs") { process.noNewPrivileges = true }
        try setUser(&process, options)
        try addCapabilities(&process, options.all("cap"))
        return process
    }

    private static func setUser(_ process: inout RuntimeSpec.Process, _ options: Options) throws {
        if let user = options["user"] {
            let parts = user.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count <= 2, let uid = UInt32(parts[0]), let gid = parts.count == 2 ? UInt32(parts[1]) : 0 else {
                throw RuntimeError("parsing \(user) as an uid:gid: invalid syntax")
            }
            process.user.uid = uid
            if parts.count == 2 { process.user.gid = gid }
        }
        for list in options.all("additional-gids") {
            for group in list.split(separator: ",") {
                guard let gid = UInt32(group) else { throw RuntimeError("parsing \(list) as a gid: invalid syntax") }
                process.user.additionalGids.append(gid)
            }
        }
    }

    private static func addCapabilities(_ process: inout RuntimeSpec.Process, _ names: [String]) throws {
        for name in names {
            guard Capability(name: name) != nil else { throw RuntimeError("unknown capability \"\(name)\"") }
            var sets = process.capabilities ?? RuntimeSpec.Capabilities()
            sets.bounding.append(name)
            sets.effective.append(name)
            sets.permitted.append(name)
            process.capabilities = sets
        }
    }
}
