import Images
import Linux
import Logging
import Networking
import NIOCore
import Registry
import Store

/// The parts that containers, builds and volumes share. Made once, by the engine's initializer.
struct EngineContext: Sendable {
    let paths: EnginePaths
    let database: Database
    let images: ImageStore
    let registries: Registries
    let networks: Networks
    let events: EventHub
    let reaper: SupervisorReaper
    let lateRemovals = LateRemovals()
    /// `skiff-runtime`, which supervises every process.
    let runtime: SealedProgram
    let eventLoops: any EventLoopGroup
    /// Takes the sockets that containers get.
    let scopedListeners: AsyncStream<ScopedListener>.Continuation
    let logger: Logger
    /// Carries the seccomp profile and everything else that is the same for all containers.
    let host: HostFacts
}
