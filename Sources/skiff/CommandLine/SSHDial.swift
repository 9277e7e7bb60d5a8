import EngineClient
import FoundationEssentials
import Linux
import SystemPackage

/// Reaches the engine of another machine: ssh(1) runs `skiff system dial-stdio` there, which joins its streams with the
/// engine's socket. Who we are, which keys and what else the user has settled is ssh's own business.
struct SSHDial: Sendable {
    let address: EngineAddress
    /// `skiff`, or `docker` for those who call us by that name.
    let remoteProgram: String
    let environment: [String: String]

    /// A connected socket whose other end is the standard input and output of ssh.
    func connect() async throws -> Int32 {
        let program = try Self.path("ssh", environment)
        let (ours, theirs) = try SocketPair().take()
        _ = try spawn(
            program, named: "ssh", arguments: arguments, environment: environment.map { "\($0.key)=\($0.value)" },
            descriptors: [theirs.raw, theirs.raw, StandardStream.error.rawValue])
        withExtendedLifetime(theirs) {}
        return try ours.duplicate().release()
    }

    var arguments: [String] {
        guard case .ssh(let user, let host, let port, let socket) = address else { return [] }
        var arguments = ["-o", "ConnectTimeout=30", "-T"]
        if let user { arguments += ["-l", user] }
        if let port { arguments += ["-p", "\(port)"] }
        arguments += ["--", host, remoteProgram]
        if let socket { arguments += ["--host", "unix://\(socket)"] }
        return arguments + ["system", "dial-stdio"]
    }

    private static func path(_ name: String, _ environment: [String: String]) throws -> FilePath {
        for folder in (environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":") {
            let path = FilePath(String(folder)).appending(name)
            if FileManager.default.isExecutableFile(atPath: path.string) { return path }
        }
        throw EngineConnectionError(.other, "exec: \"\(name)\": executable file not found in $PATH")
    }
}
