import Blocking
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
    /// Of containers whose files are removed after their end was told. Beyond these it is told after: who runs one container after
    /// the other would else find the disk full of what is still going.
    let lateRemovals = Allowance(4)
    /// `skiff-runtime`, which supervises every process.
    let runtime: SealedProgram
    let eventLoops: any EventLoopGroup
    /// Takes the sockets that containers get.
    let scopedListeners: AsyncStream<ScopedListener>.Continuation
    let logger: Logger
    /// Carries the seccomp profile and everything else that is the same for all containers.
    let host: HostFacts
}
