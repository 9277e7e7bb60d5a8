import Blocking
import EngineClient
import Linux
import NIOCore

extension Command {
    /// What the client of another machine runs here by way of ssh.
    static func dialStdio() -> Command {
        Command(
            name: "dial-stdio", usage: "", summary: "Join standard input and output with the engine's socket", arguments: .none
        ) { call in
            let engine = call.program.engine
            // Starts the engine where it may, and tells early when there is none.
            try await engine.send(EngineRequest(.get, "/_ping"))
            try await engine.withRawConnection { inbound, outbound, channel in
                let input = try StoppableReader(StandardStream.input.rawValue)
                let sending = Task {
                    while let bytes = try await input.next() { try await outbound.write(ByteBuffer(bytes: bytes)) }
                    // A half close drops what is not flushed yet, so that something has to be flushed and waited for first.
                    try await channel.writeAndFlush(ByteBuffer())
                    try await channel.close(mode: .output)
                }
                defer {
                    input.stop()
                    sending.cancel()
                }
                for try await bytes in inbound { try await ContainerStreams.write(bytes, .output) }
            }
            return 0
        }
    }
}
