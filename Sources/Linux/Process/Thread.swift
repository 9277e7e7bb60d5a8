import CLinux
import Glibc
import SystemPackage

/// Starts a detached thread of the kernel's kind, outside of Swift's concurrency pool, which runs `body` once and ends.
public func startThread(_ body: @escaping @Sendable () -> Void) throws(SystemError) {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    // Deep recursion does not happen on these threads; the default of 8 MiB would only be address space.
    pthread_attr_setstacksize(&attributes, 1 << 20)

    let context = Unmanaged.passRetained(ThreadBody(body))
    var thread = pthread_t()
    let error = pthread_create(
        &thread, &attributes,
        { argument in
            guard let argument else { return nil }
            Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().body()
            return nil
        }, context.toOpaque())
    if error != 0 {
        context.release()
        throw SystemError(errno: Errno(rawValue: error), call: "pthread_create")
    }
}

private final class ThreadBody: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

/// Does nothing for a while, and the thread nothing else.
public func pauseThread(nanoseconds: Int64) {
    var rest = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    var left = timespec()
    while nanosleep(&rest, &left) != 0, errno == EINTR { rest = left }
}
