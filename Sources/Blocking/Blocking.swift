import CLinux
import Glibc
import Linux

/// Runs something that may sleep in the kernel (mount, fsync, unpack, wait) away from Swift's concurrency pool, whose
/// few threads it would stop. At most 64 calls run at a time, later ones wait in line; idle threads end by themselves.
///
/// The body is not cancelled with the task; long bodies should look for their own sign to stop.
public func blocking<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
        BlockingThreads.shared.run { continuation.resume(with: Result { try body() }) }
    }
}

/// Runs the body on a thread that is made for it and ends with it. For calls that change the calling thread for good,
/// as `setns` and `unshare` do.
public func onThrowawayThread<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
        do {
            try startThread { continuation.resume(with: Result { try body() }) }
        } catch {
            continuation.resume(throwing: error)
        }
    }
}

/// Runs a task to its end while the calling thread waits: the way from a program's `main` into Swift's concurrency.
/// Never to be called from a task, whose thread would be missing for others.
public func waitingFor<T: Sendable>(_ body: @escaping @Sendable () async -> T) -> T {
    let outcome = Outcome<T>()
    Task { outcome.set(await body()) }
    return outcome.wait()
}

/// A value that one thread sets and another one waits for.
private final class Outcome<T: Sendable>: @unchecked Sendable {  // `mutex` guards `value`.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let isSet = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var value: T?

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(isSet, nil)
    }

    deinit {
        pthread_cond_destroy(isSet)
        pthread_mutex_destroy(mutex)
        isSet.deallocate()
        mutex.deallocate()
    }

    func set(_ value: T) {
        pthread_mutex_lock(mutex)
        self.value = value
        pthread_cond_signal(isSet)
        pthread_mutex_unlock(mutex)
    }

    func wait() -> T {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let value { return value }
            pthread_cond_wait(isSet, mutex)
        }
    }
}

/// The threads behind `blocking`: started when work waits and nobody is idle, ended after ten idle seconds.
private final class BlockingThreads: @unchecked Sendable {  // `mutex` guards every stored variable.
    static let shared = BlockingThreads()

    private static let most = 64
    private static let idleSeconds = 10

    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let wakeUp = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [@Sendable () -> Void] = []
    private var nextJob = 0
    private var threads = 0
    private var idle = 0

    private init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(wakeUp, nil)
    }

    func run(_ job: @escaping @Sendable () -> Void) {
        pthread_mutex_lock(mutex)
        jobs.append(job)
        let wantsThread = idle < jobs.count - nextJob && threads < Self.most
        if wantsThread { threads += 1 } else { pthread_cond_signal(wakeUp) }
        pthread_mutex_unlock(mutex)
        guard wantsThread else { return }
        do {
            try startThread { self.work() }
        } catch {
            threadIsMissing()
        }
    }

    /// The kernel has no thread for us. Another one will take the job; without any, the caller's thread has to.
    private func threadIsMissing() {
        pthread_mutex_lock(mutex)
        threads -= 1
        let job = threads == 0 ? takeJob() : nil
        pthread_mutex_unlock(mutex)
        job?()
    }

    private func work() {
        pthread_mutex_lock(mutex)
        while true {
            if let job = takeJob() {
                pthread_mutex_unlock(mutex)
                job()
                pthread_mutex_lock(mutex)
            } else if !waitForJob() {
                break
            }
        }
        threads -= 1
        pthread_mutex_unlock(mutex)
    }

    private func takeJob() -> (@Sendable () -> Void)? {
        guard nextJob < jobs.count else { return nil }
        let job = jobs[nextJob]
        nextJob += 1
        if nextJob == jobs.count || nextJob > 256 {
            jobs.removeFirst(nextJob)
            nextJob = 0
        }
        return job
    }

    /// False when nothing came for a while.
    private func waitForJob() -> Bool {
        var deadline = timespec()
        clock_gettime(CLOCK_REALTIME, &deadline)
        deadline.tv_sec += Self.idleSeconds
        idle += 1
        defer { idle -= 1 }
        while nextJob == jobs.count {
            if pthread_cond_timedwait(wakeUp, mutex, &deadline) == ETIMEDOUT { return nextJob < jobs.count }
        }
        return true
    }
}
