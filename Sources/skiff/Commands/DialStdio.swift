import Blocking
import EngineClient
import Linux

extension Command {
    /// What the client of another machine runs here by way of ssh.
    static func dialStdio() -> Command {
        Command(
            name: "dial-stdio", usage: "", summary: "Join standard input and output with the engine's socket", arguments: .none
        ) { call in
            let engine = call.program.engine
            // Starts the engine where it may, and tells early when there is none.
            try await engine.send(EngineRequest(.get, "/_ping"))
            let connection = try engine.connectRaw()
            let input = try StoppableReader(StandardStream.input.rawValue)
            let sending = Task {
                while let bytes = try await input.next() { try await blocking { try connection.withOwned { try $0.sendAll(bytes) } } }
                try connection.withOwned { try $0.shutdownSending() }
            }
            defer {
                input.stop()
                sending.cancel()
            }
            let output = try StoppableReader(connection.raw)
            while let bytes = try await output.next() { try await blocking { try StandardStream.output.write(bytes) } }
            withExtendedLifetime(connection) {}
            return 0
        }
    }
}
