// A service needs more rights to start than to run. All its threads are to have the few that are needed later, from their
// first moment on, so there is nothing to take from them; what needs more is done by this one, which then ends.

import Dispatch
import Synchronization

/// A thread that keeps what the one that started it had, and does for others what they may no longer do.
public final class PrivilegedThread: Sendable {
    private enum State {
        case idle
        case next(@Sendable () -> Void)
        case ending
    }

    private let state = Mutex(State.idle)
    private let isWanted = DispatchSemaphore(value: 0)
    private let isDone = DispatchSemaphore(value: 0)

    /// To be made before its maker gives anything up.
    public init() {
        startThread(named: "mooring-start") { [self] in
            while true {
                isWanted.wait()
                switch state.withLock({ $0 }) {
                case .idle: continue
                case .next(let body): body()
                case .ending:
                    // It ends in a moment; whoever looks until then sees nothing left. What can't be given up goes with it.
                    _ = try? Capabilities.keep(only: [])
                    isDone.signal()
                    return
                }
                isDone.signal()
            }
        }
    }

    /// Runs `body` on the thread, while the calling thread waits. One at a time, and none after `end`.
    public func run<Value: ~Copyable>(_ body: () throws -> Value) throws -> Value {
        let place = UnsafeMutablePointer<Result<Value, any Error>>.allocate(capacity: 1)
        defer { place.deallocate() }
        withoutActuallyEscaping(body) { body in
            // The caller waits, so only one thread at a time touches either.
            nonisolated(unsafe) let (body, place) = (body, place)
            state.withLock {
                $0 = .next {
                    do { place.initialize(to: .success(try body())) } catch { place.initialize(to: .failure(error)) }
                }
            }
            isWanted.signal()
            isDone.wait()
            state.withLock { $0 = .idle }
        }
        return try place.move().get()
    }

    /// Ends the thread, and with it the rights that no other has.
    public func end() {
        state.withLock { $0 = .ending }
        isWanted.signal()
        isDone.wait()
    }
}
