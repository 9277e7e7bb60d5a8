import Blocking
import DockerAPI
import EngineClient
import Linux
import OCI

extension Command {
    static func login() -> Command {
        let user = Flag<String>.text("username", short: "u", "Name of the user")
        let password = Flag<String>.text("password", short: "p", "Password or access token")
        let fromInput = Flag<Bool>.toggle("password-stdin", "Read the password from standard input")
        return Command(
            name: "login", usage: "[OPTIONS] [SERVER]", summary: "Log in to a registry", arguments: .atMost(1),
            flags: [user, password, fromInput]
        ) { call in
            var given = StoredLogin(user: call[user], password: call[password])
            if !given.password.isEmpty {
                try call.program.warn("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
                guard !call[fromInput] else { throw CommandFailure("--password and --password-stdin are mutually exclusive") }
            }
            if call[fromInput] {
                guard !given.user.isEmpty else { throw CommandFailure("Must provide --username with --password-stdin") }
                given.password = try await LoginPrompt.passwordFromInput()
            }
            return try await LoginAttempt(program: call.program, host: call.arguments.first ?? "docker.io").run(given)
        }
    }

    static func logout() -> Command {
        Command(name: "logout", usage: "[SERVER]", summary: "Log out from a registry", arguments: .atMost(1)) { call in
            let key = DockerConfigFile.key(call.arguments.first ?? "docker.io")
            var logins = try Logins(call.program.environment)
            let shown = key == DockerConfigFile.dockerHub ? key : DockerConfigFile.plainHost(key)
            guard try await logins.forget(key) else {
                try call.program.print("Not logged in to \(shown)")
                return 0
            }
            try call.program.print("Removing login credentials for \(shown)")
            return 0
        }
    }
}

/// One `login`.
private struct LoginAttempt: Sendable {
    let program: Program
    let host: String

    func run(_ given: StoredLogin) async throws -> Int32 {
        var logins = try Logins(program.environment)
        if given.user.isEmpty, given.password.isEmpty, let known = try await logins.login(for: host) {
            try program.print("Authenticating with existing credentials...")
            do {
                _ = try await authenticate(known)
                try program.print("\nLogin Succeeded")
                return 0
            } catch let error as EngineClientError where error.status == 401 {
                try program.warn("Login did not succeed, error: \(error)")
            }
        }
        var login = try LoginPrompt(program: program).complete(given)
        let response = try await authenticate(login)
        if let token = response.IdentityToken, !token.isEmpty {
            login.password = ""
            login.identityToken = token
        }
        if try await logins.keep(login, for: host) {
            try program.warn(
                "\nWARNING! Your credentials are stored unencrypted in '\(logins.file.path)'.\n"
                    + "Configure a credential helper to remove this warning. See\nhttps://docs.docker.com/go/credential-store/\n")
        }
        try program.print(response.Status ?? "Login Succeeded")
        return 0
    }

    private func authenticate(_ login: StoredLogin) async throws -> AuthResponse {
        let config = login.config(for: DockerConfigFile.key(host))
        return try await program.engine.get(
            AuthResponse.self, EngineRequest(.post, "/auth", body: try EngineClient.json(config)))
    }
}

/// Asks the user for what is missing.
private struct LoginPrompt {
    let program: Program

    func complete(_ given: StoredLogin) throws -> StoredLogin {
        var login = given
        guard login.user.isEmpty || login.password.isEmpty else { return login }
        guard StandardStream.input.isTerminal else {
            throw CommandFailure("Error: Cannot perform an interactive login from a non TTY device")
        }
        if login.user.isEmpty {
            try program.write("Username: ")
            login.user = readLine() ?? ""
            guard !login.user.isEmpty else { throw CommandFailure("Error: Non-null Username Required") }
        }
        if login.password.isEmpty {
            login.password = try hidden("Password: ")
            guard !login.password.isEmpty else { throw CommandFailure("Error: Password Required") }
        }
        return login
    }

    private func hidden(_ prompt: String) throws -> String {
        let before = try TerminalMode.get(StandardStream.input.rawValue)
        try before.withoutEcho().set(StandardStream.input.rawValue)
        // A terminal that is gone needs no mode.
        defer { try? before.set(StandardStream.input.rawValue) }
        try program.write(prompt)
        let text = readLine() ?? ""
        try program.write("\n")
        return text
    }

    /// All of standard input without the line ends behind it.
    static func passwordFromInput() async throws -> String {
        let reader = try StoppableReader(StandardStream.input.rawValue)
        var bytes: [UInt8] = []
        while let more = try await reader.next() {
            bytes += more
            guard bytes.count <= 1 << 20 else { throw CommandFailure("the password is too long") }
        }
        while let last = bytes.last, last == 0x0A || last == 0x0D { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }
}
