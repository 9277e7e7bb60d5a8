import Archive
import Blocking
import Linux
import NIOCore

/// A tar archive made while it is sent: a thread writes it into a pipe from which the request takes it.
final class TarProducer: Sendable {
    private let upload: Upload
    private let writing: Task<Void, any Error>

    init(_ body: @escaping @Sendable (TarWriter) throws -> Void) throws {
        let (reading, writing) = try makePipe()
        upload = try Upload(reading: reading)
        self.writing = Task {
            try await blocking {
                let writer = TarWriter(FileSink(writing))
                try body(writer)
                try writer.finish()
            }
        }
    }

    /// The next bytes. An archive that could not be made ends in its error, not in a short archive.
    @Sendable func next() async throws -> ByteBuffer? {
        if let bytes = try await upload.next() { return bytes }
        try await writing.value
        return nil
    }
}
