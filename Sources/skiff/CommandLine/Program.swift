import Blocking
import EngineClient
import FoundationEssentials
import Linux
import NIOCore
import SystemPackage

/// What a command works with beside its own flags.
struct Program: Sendable {
    let name: String
    let environment: [String: String]
    let engine: EngineClient
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

/// Where the engine is, and how it is started when it is ours and not there.
struct EngineAccess {
    static let defaultSocket = "/run/skiff/docker.sock"

    private let address: EngineAddress
    private let mayStart: Bool
    private let environment: [String: String]

    init(_ global: FlagValues, _ environment: [String: String]) throws {
        let hosts = global[GlobalFlags.host]
        guard hosts.count < 2 else { throw UsageError("specify only one -H") }
        guard ["", "default"].contains(global[GlobalFlags.context]) else {
            throw UsageError("context \"\(global[GlobalFlags.context])\": context not found")
        }
        let variables = ["SKIFF_HOST", "DOCKER_HOST"].compactMap { environment[$0] }
        let given: String? = hosts.first ?? variables.first { !$0.isEmpty }
        address = try given.map { try EngineAddress($0) } ?? .unix(path: Self.defaultSocket)
        mayStart = address == .unix(path: Self.defaultSocket) && CurrentProcess.effectiveUserID == 0
        self.environment = environment
    }

    func client(_ group: any EventLoopGroup) -> EngineClient {
        var start: (@Sendable () async throws -> Void)?
        if mayStart {
            let starting = EngineStart(environment: environment)
            start = { try await starting.run() }
        }
        return EngineClient(
            address: address, group: group, fixedVersion: environment["DOCKER_API_VERSION"], startEngine: start)
    }
}
