import CLinux
import Glibc

/// Hands things from one thread to another; the one that is faster waits for the other.
public final class BoundedQueue<Element: Sendable>: @unchecked Sendable {  // `mutex` guards every stored variable.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let capacity: Int
    private var elements: [Element] = []
    private var isAbandoned = false
    private var isFinished = false

    public init(capacity: Int) {
        self.capacity = capacity
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(changed)
        mutex.deallocate()
        changed.deallocate()
    }

    /// For the giving side: waits for room. False when nobody wants any more.
    public func put(_ element: Element) -> Bool {
        locked {
            while elements.count >= capacity, !isAbandoned { pthread_cond_wait(changed, mutex) }
            if isAbandoned { return false }
            elements.append(element)
            return true
        }
    }

    /// For the giving side: nothing more will come.
    public func finish() {
        locked { isFinished = true }
    }

    /// For the taking side: waits for something. Nil when nothing more will come.
    public func take() -> Element? {
        locked {
            while elements.isEmpty, !isFinished { pthread_cond_wait(changed, mutex) }
            return elements.isEmpty ? nil : elements.removeFirst()
        }
    }

    /// For the taking side: wants no more, and waits until the other has called `finish`.
    public func abandon() {
        locked {
            isAbandoned = true
            pthread_cond_broadcast(changed)
            while !isFinished { pthread_cond_wait(changed, mutex) }
        }
    }

    private func locked<T>(_ body: () -> T) -> T {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(changed)
            pthread_mutex_unlock(mutex)
        }
        return body()
    }
}
