import Blocking
import EngineClient
import FoundationEssentials
import Linux
import SystemPackage

/// What a command works with beside its own flags.
struct Program: Sendable {
    let name: String
    let environment: [String: String]
    let engine: EngineClient
    /// Which engine that is.
    let access: EngineAccess
    /// What the user has settled for all commands.
    let config: DockerConfigFile
    /// Present in commands that take signals themselves.
    let signals: SignalQueue?

    var workingDirectory: String { FileManager.default.currentDirectoryPath }

    func print(_ text: String) throws { try StandardStream.output.write(text + "\n") }
    func write(_ text: String) throws { try StandardStream.output.write(text) }

    /// A remark that is not part of the result.
    func warn(_ text: String) throws { try StandardStream.error.write(text + "\n") }

    /// Does something for each name, goes on after a failure and reports it. 1 when anything failed.
    func forEach(_ names: [String], _ body: (String) async throws -> Void) async throws -> Int32 {
        var code: Int32 = 0
        for name in names {
            do {
                try await body(name)
            } catch let error as SystemError where error.errno == .brokenPipe {
                throw error
            } catch let error as EngineConnectionError {
                throw error
            } catch {
                try warn(Failure.text(error))
                code = 1
            }
        }
        return code
    }

    /// Asks before something is deleted; anything but `y` is a no.
    func confirms(_ warning: String) throws -> Bool {
        try write("\(warning) [y/N] ")
        guard let answer = readLine() else { return false }
        return answer.lowercased() == "y"
    }
}
