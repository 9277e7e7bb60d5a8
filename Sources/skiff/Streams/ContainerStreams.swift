import Blocking
import EngineClient
import Linux
import NIOCore
import Synchronization

/// Joins the user's streams with those of a container or of an exec session.
struct ContainerStreams: Sendable {
    let hasTerminal: Bool
    let takesInput: Bool
    let detachKeys: String
    var output = true
    var errors = true

    enum End: Sendable {
        case finished
        /// The user typed the detach keys; the container goes on.
        case detached
    }

    /// Copies until the container's output ends. Standard input that ends first is told to the container.
    func copy(_ response: EngineResponse, _ writer: EngineStreamWriter) async throws -> End {
        let typed = Mutex(try DetachKeys(detachKeys))
        let input = try StoppableReader(StandardStream.input.rawValue)
        let sending = takesInput ? Task { await Self.send(input, to: writer, typed, hasTerminal) } : nil
        do {
            try await receive(response)
        } catch {
            input.stop()
            _ = await sending?.value
            throw error
        }
        input.stop()
        _ = await sending?.value
        return typed.withLock { $0.wereTyped } ? .detached : .finished
    }

    private static func send(
        _ input: StoppableReader, to writer: EngineStreamWriter, _ typed: borrowing Mutex<DetachKeys>, _ watches: Bool
    ) async {
        do {
            while let bytes = try await input.next() {
                if watches { typed.withLock { $0.see(bytes) } }
                try await writer.write(bytes)
            }
            try await writer.finish()
        } catch {
            // The container has closed its input or ended; its output tells the rest.
        }
    }

    private func receive(_ response: EngineResponse) async throws {
        if hasTerminal {
            while let bytes = try await response.next() { try await Self.write(bytes, .output) }
        } else {
            try await Self.demultiplex(response, output: output, errors: errors)
        }
    }

    /// Writes a framed stream to standard output and standard error.
    static func demultiplex(_ response: EngineResponse, output: Bool = true, errors: Bool = true) async throws {
        var frames = StreamFrames()
        while let bytes = try await response.next() {
            frames.append(bytes)
            while let piece = try frames.next() {
                switch piece.stream {
                case .standardInput, .standardOutput: if output { try await write(piece.bytes, .output) }
                case .standardError: if errors { try await write(piece.bytes, .error) }
                case .engineError:
                    throw CommandFailure("error from daemon in stream: \(String(buffer: piece.bytes))")
                }
            }
        }
    }

    static func write(_ bytes: ByteBuffer, _ stream: StandardStream) async throws {
        let bytes = Array(bytes.readableBytesView)
        try await blocking { try stream.write(bytes) }
    }
}
