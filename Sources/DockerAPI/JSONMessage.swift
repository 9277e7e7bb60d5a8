// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The properties are the fields of Docker's Engine API, spelled as they are on the wire.

/// One line of a progress stream: builds, loads, imports and our bootstrap.
public struct JSONMessage: Codable, Sendable, Equatable {
    public var stream: String?
    public var status: String?
    public var progressDetail: ProgressDetail?
    public var progress: String?
    public var id: String?
    public var error: String?
    public var errorDetail: ErrorDetail?
    public var aux: Aux?

    public init() {}

    /// One that carries a result.
    public init(_ set: (inout Aux) -> Void) {
        var aux = Aux()
        set(&aux)
        self.aux = aux
    }

    /// How far a transfer is.
    public struct ProgressDetail: Codable, Sendable, Equatable {
        public var current: Int64?
        public var total: Int64?

        public init() {}
    }

    /// The error that ended the stream.
    public struct ErrorDetail: Codable, Sendable, Equatable {
        public var code: Int?
        public var message: String?

        public init() {}
    }

    /// A result that travels in the stream, for instance the id of a built image.
    public struct Aux: Codable, Sendable, Equatable {
        public var ID: String?
        public var Tag: String?
        public var Digest: String?
        public var Size: Int64?
        /// How many warnings a look at a Dockerfile has given.
        public var Warnings: Int?
        /// The image that a build has come to was there before it.
        public var Reused: Bool?
        /// The context that the client named cannot be read where it is: the build has to be asked for again, with its archive.
        public var SendContext: Bool?
        /// A step has failed, and the build waits for its client with a shell of this id.
        public var Shell: String?
        /// Where a build has left a cache for a folder of the client: `GET /build/caches/ID`. Empty when it could not be made.
        public var Cache: String?
        /// What a build has taken from elsewhere, as the text of a lock file.
        public var Lock: String?

        public init() {}
    }
}
