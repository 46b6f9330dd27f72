// Threads with a name, which people see in `top -H` and in core files. Foundation's would be a class to keep.

import Glibc

/// Runs `body` on a thread of its own.
/// - Parameter name: as tools show it; 15 bytes at the most.
public func startThread(named name: String, _ body: @escaping @Sendable () -> Void) {
    final class Start {
        let name: String
        let body: @Sendable () -> Void
        init(_ name: String, _ body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
    var thread = pthread_t()
    let result = pthread_create(
        &thread, nil,
        { argument in
            let start = Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue()
            // pthread_setname_np is behind _GNU_SOURCE, which Swift does not set. Without a name it works as well.
            if let file = fopen("/proc/thread-self/comm", "w") {
                fputs(start.name, file)
                fclose(file)
            }
            start.body()
            return nil
        }, Unmanaged.passRetained(Start(name, body)).toOpaque())
    precondition(result == 0, "no thread could be started")
    pthread_detach(thread)
}
