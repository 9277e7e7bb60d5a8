import Linux
import OCI
import SystemPackage

/// The last steps of a cloned process, the same for a container's first one and for one that joined later. It stands in
/// the container's namespaces already.
struct ProcessInit {
    let plan: ProcessPlan
    let options: LaunchOptions
    /// False in a namespace of users where groups cannot be chosen.
    let allowsGroups: Bool

    private var process: RuntimeSpec.Process { plan.process }

    /// Stdio, terminal and limits: what still needs the rights of root.
    func prepareStreams(root: borrowing OwnedFD, withConsole: Bool, channel: borrowing Channel) throws {
        switch options.stdio {
        case .descriptors(let input, let output, let error): try arrange([input, output, error])
        case .terminal: try openTerminal(root: root, withConsole: withConsole, channel: channel)
        }
        try Identity.giveStandardStreams(to: process.user.uid)
    }

    private func arrange(_ streams: [Int32]) throws {
        let preserved = (0..<Int32(options.preservedDescriptors)).map { 3 + $0 }
        try Identity.arrangeDescriptors(streams + preserved)
    }

    private func openTerminal(root: borrowing OwnedFD, withConsole: Bool, channel: borrowing Channel) throws {
        let devpts = try PathInRoot.open("/dev/pts", root: root, flags: [.path, .directory])
        guard try FileSystemKind(of: devpts) == .devpts else {
            throw LaunchError(message: "/dev/pts of the container is not a devpts file system")
        }
        let terminal = try PseudoTerminal(devpts: devpts)
        let peer = try terminal.openPeer()
        if let size = process.consoleSize, let rows = UInt16(exactly: size.height),
            let columns = UInt16(exactly: size.width), rows > 0 || columns > 0
        {
            try WindowSize(rows: rows, columns: columns).set(peer.raw)
        }
        if withConsole {
            let console = try MountTarget.file("/dev/console", root: root)
            try Mount.attach(try Mount.clone(of: peer, recursive: false), to: console)
        }
        try channel.send(LaunchMessage.terminal.bytes, descriptor: terminal.controller)
        try setControllingTerminal(peer)
        try arrange([peer.raw, peer.raw, peer.raw])
    }

    /// Becomes the container's user, tells that everything is ready, waits, runs `beforeProgram` with the environment, and
    /// executes the program.
    func finish(
        root: borrowing OwnedFD, channel: borrowing Channel, beforeProgram: ([String]) throws -> Void = { _ in }
    ) throws {
        try setLimits()
        try enterWorkingDirectory(root)
        let environment = environment(root)
        try plan.labels.apply()
        if options.newKeyring { try Identity.startKeyring() }
        Identity.setUmask(process.user.umask ?? 0o022)
        try becomeUser(channel)
        let name = process.args[0]
        let program = try ProgramLookup.find(name, environment: environment)
        // For `--init` the engine binds this program, read-only, to that one place.
        guard program == plan.initPath || !plan.ownProgram.isSame(as: program) else {
            throw LaunchError(exitCode: 126, message: "exec: \"\(name)\": permission denied")
        }
        if options.diesWithParent { try Identity.dieWithParent() }
        // A listener is told by way of the parent, which may be gone after this.
        let installsEarly = !process.noNewPrivileges || plan.filter?.needsListener == true
        if process.noNewPrivileges && installsEarly { try installFilter(channel) }
        try channel.send(LaunchMessage.ready.bytes)
        try waitForRelease(channel)
        try beforeProgram(environment)
        if !installsEarly { try installFilter(channel) }
        let errno = execute(program, arguments: process.args, environment: environment)
        throw LaunchError(
            exitCode: errno == .noSuchFileOrDirectory ? 127 : 126, message: "exec \(program): \(errno.goText)")
    }

    private func setLimits() throws {
        for (limit, soft, hard) in plan.limits { try limit.set(soft: soft, hard: hard) }
        do throws(SystemError) {
            try plan.scheduling?.apply()
        } catch {
            throw LaunchError(message: "error setting scheduler: \(error.errno.goText)")
        }
        do throws(SystemError) {
            try plan.ioPriority?.apply()
        } catch {
            throw LaunchError(message: "failed to set io priority: \(error.errno.goText)")
        }
    }

    private func environment(_ root: borrowing OwnedFD) -> [String] {
        var environment = process.env
        if !environment.contains(where: { $0.hasPrefix("HOME=") && $0 != "HOME=" }) {
            environment.removeAll { $0 == "HOME=" }
            environment.append("HOME=\(HomeDirectory.find(uid: process.user.uid, root: root))")
        }
        return environment
    }

    private func installFilter(_ channel: borrowing Channel) throws {
        guard let filter = plan.filter else { return }
        guard filter.needsListener else { return try filter.program.install(filter.flags) }
        let listener = try filter.program.installWithListener(filter.flags)
        try channel.send(LaunchMessage.seccomp.bytes, descriptor: listener)
    }

    private func waitForRelease(_ channel: borrowing Channel) throws {
        if let gate = options.gate {
            if try !readGate(gate) { return }
        } else if try channel.receive() != nil {
            return
        }
        // Nobody is left who could release this process.
        endProcess(1)
    }

    /// True at the end of the file.
    private func readGate(_ gate: Int32) throws -> Bool {
        try withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { byte in
            let fd = try OwnedFD.duplicating(gate)
            return try fd.read(into: byte) == 0
        }
    }

    /// The directory is made where it is missing, resolved inside the root and entered by its descriptor; afterwards the
    /// kernel has to agree that it lies inside.
    private func enterWorkingDirectory(_ root: borrowing OwnedFD) throws {
        do {
            let directory = try PathInRoot.makeDirectories(process.cwd, root: root)
            try Identity.changeDirectory(directory)
            guard try Identity.workingDirectory().hasPrefix("/") else {
                throw LaunchError(message: "current working directory is outside of container mount namespace root")
            }
        } catch let error as SystemError {
            throw LaunchError(
                message: "chdir to cwd (\"\(process.cwd)\") set in config.json failed: \(error.errno.goText)")
        }
    }

    /// Without `no_new_privs` only a privileged process may install a filter, so it comes before the rights go.
    private func becomeUser(_ channel: borrowing Channel) throws {
        if process.noNewPrivileges { try Identity.forbidNewPrivileges() } else { try installFilter(channel) }
        let user = process.user
        if !allowsGroups, !user.additionalGids.isEmpty {
            throw LaunchError(message: "cannot set any additional groups in a rootless container")
        }
        let groups = allowsGroups ? user.additionalGids : nil
        try plan.capabilities.applyBounding()
        try CapabilitySets.keepOverUserChange(true)
        try Identity.setUser(user.uid, group: user.gid, additionalGroups: groups)
        try CapabilitySets.keepOverUserChange(false)
        try plan.capabilities.apply()
    }
}
