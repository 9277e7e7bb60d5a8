import CLinux
import Glibc

/// A network namespace that is made while the caller does something else: the kernel needs longer for one than for all the
/// other kinds together. Only for programs with one thread, and one at a time.
public final class NetworkNamespaceAhead {
    private let descriptor: UnsafeMutablePointer<Int32>
    private var task: pid_t?

    /// Begins; nil when that is not possible.
    public init?() {
        descriptor = .allocate(capacity: 1)
        descriptor.initialize(to: -1)
        let pid = clinux_begin_network_namespace(descriptor)
        guard pid > 0 else {
            descriptor.deallocate()
            return nil
        }
        task = pid
    }

    /// The new namespace, which nobody is in; it goes with its descriptor. Blocks until it is there. nil when it could not be
    /// made, and when it was taken before: `unshare` or `clone` tell why.
    public func take() -> OwnedFD? {
        wait()
        guard descriptor.pointee >= 0 else { return nil }
        let namespace = OwnedFD(adopting: descriptor.pointee)
        descriptor.pointee = -1
        // Where something else lies at /proc, it is not opened.
        guard (try? FileSystemKind(of: namespace)) == .namespaces else { return nil }
        return namespace
    }

    private func wait() {
        guard let pid = task else { return }
        task = nil
        // It is ours, and nobody else waits for it: nothing can fail but by a signal, after which one asks again.
        while waitpid(pid, nil, __WALL) < 0, errno == EINTR {}
    }

    deinit {
        _ = take()
        descriptor.deallocate()
    }
}
