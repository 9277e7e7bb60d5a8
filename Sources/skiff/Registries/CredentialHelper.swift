import Blocking
import FoundationEssentials
import Linux
import OCI
import SystemPackage

/// A program `docker-credential-NAME` that keeps passwords:
///
/// ```
/// get    <host>                                  {"ServerURL":…,"Username":…,"Secret":…}
/// store  {"ServerURL":…,"Username":…,"Secret":…}
/// erase  <host>
/// list                                           {"<host>":"<user>",…}
/// ```
struct CredentialHelper: Sendable {
    let name: String
    let environment: [String: String]

    /// What it has for a host; nil when it has nothing.
    func get(_ host: String) async throws -> StoredLogin? {
        let (code, output) = try await run("get", Array(host.utf8))
        guard code == 0 else {
            let said = String(decoding: output, as: UTF8.self)
            if said.contains("credentials not found") { return nil }
            throw CommandFailure("error getting credentials - err: exit status \(code), out: `\(said.prefix(200))`")
        }
        let answer = try JSONValue.parse(output)
        guard let secret = answer["Secret"]?.string, !secret.isEmpty else { return nil }
        let user = answer["Username"]?.string ?? ""
        return user == StoredLogin.tokenUser ? StoredLogin(user: "", password: "", identityToken: secret) : StoredLogin(user: user, password: secret)
    }

    func store(_ login: StoredLogin, for host: String) async throws {
        let (user, secret) = login.identityToken.isEmpty ? (login.user, login.password) : (StoredLogin.tokenUser, login.identityToken)
        let request = JSONValue.object([("ServerURL", .string(host)), ("Username", .string(user)), ("Secret", .string(secret))])
        let (code, output) = try await run("store", request.serialized())
        guard code == 0 else {
            throw CommandFailure(
                "error storing credentials - err: exit status \(code), out: `\(String(decoding: output.prefix(200), as: UTF8.self))`")
        }
    }

    func erase(_ host: String) async throws {
        let (code, output) = try await run("erase", Array(host.utf8))
        guard code == 0 else {
            throw CommandFailure(
                "error erasing credentials - err: exit status \(code), out: `\(String(decoding: output.prefix(200), as: UTF8.self))`")
        }
    }

    /// The hosts that it has something for.
    func hosts() async throws -> [String] {
        let (code, output) = try await run("list", [])
        guard code == 0, case .object(let members) = try JSONValue.parse(output) else { return [] }
        return members.map(\.0)
    }

    private func run(_ verb: String, _ input: [UInt8]) async throws -> (code: Int32, output: [UInt8]) {
        let started = try start(try path(), verb)
        let output = try await blocking {
            // A program that does not want its input says so by its exit code.
            try? input.withUnsafeBytes { try started.input.take().writeAll($0) }
            return try started.output.withOwned { try $0.readAll(limit: 1 << 20) }
        }
        return (try await waitForExit(started.pid).code, output)
    }

    /// The program's own ends of the pipes are closed here when this returns: its end is the end of its output.
    private func start(_ program: FilePath, _ verb: String) throws -> (pid: Int32, input: Handed, output: SharedFD) {
        let (theirInput, ourInput) = try sharedPipe()
        let (ourOutput, theirOutput) = try sharedPipe()
        let pid = try spawn(
            program, arguments: [verb], environment: environment.map { "\($0.key)=\($0.value)" },
            descriptors: [theirInput.raw, theirOutput.raw, StandardStream.error.rawValue])
        withExtendedLifetime((theirInput, theirOutput)) {}
        return (pid, Handed(ourInput), ourOutput)
    }

    private func path() throws -> FilePath {
        let file = "docker-credential-\(name)"
        guard name.utf8.allSatisfy({ $0 != UInt8(ascii: "/") && $0 != 0 }) else { throw CommandFailure("invalid credential helper: \(name)") }
        for folder in (environment["PATH"] ?? "").split(separator: ":") {
            let path = FilePath(String(folder)).appending(file)
            if FileManager.default.isExecutableFile(atPath: path.string) { return path }
        }
        throw CommandFailure("error getting credentials - err: exec: \"\(file)\": executable file not found in $PATH, out: ``")
    }
}

/// An end of a pipe that is closed as soon as its taker is done with it.
private final class Handed: @unchecked Sendable {  // Taken once, by the one who gets it.
    private var end: SharedFD?

    init(_ end: SharedFD) { self.end = end }

    func take() throws -> SharedFD {
        defer { end = nil }
        guard let end else { throw SystemError(errno: .badFileDescriptor, call: "pipe") }
        return end
    }
}
