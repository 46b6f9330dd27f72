// What is done by several threads at a time, each with memory of its own.

import Glibc

/// Does both, the first on a thread of its own where there can be one, and returns when both are done.
func inParallel(_ first: () -> Void, and second: () -> Void) {
    withoutActuallyEscaping(first) { first in
        let thread = startThread(first)
        second()
        if let thread { pthread_join(thread, nil) } else { first() }
    }
}

/// Does what need not be done, on a thread of its own where there can be one.
func inBackground(_ body: @escaping () -> Void) {
    if let thread = startThread(body) { pthread_detach(thread) }
}

private func startThread(_ body: @escaping () -> Void) -> pthread_t? {
    final class Start {
        let body: () -> Void
        init(_ body: @escaping () -> Void) { self.body = body }
    }
    let start = Unmanaged.passRetained(Start(body))
    var thread = pthread_t()
    let result = pthread_create(
        &thread, nil,
        { start in
            Unmanaged<Start>.fromOpaque(start!).takeRetainedValue().body()
            return nil
        }, start.toOpaque())
    guard result == 0 else {
        start.release()
        return nil
    }
    return thread
}
