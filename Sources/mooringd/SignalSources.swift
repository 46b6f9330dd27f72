// Signals as events: SIGTERM and SIGINT stop, SIGHUP reloads. They are taken from the first moment on, so that none ends
// the daemon half-way through its start; what comes before there is somebody to handle it is handled then.

import Dispatch
import Glibc
import Synchronization

/// The daemon's signals.
final class SignalSources: Sendable {
    private struct State {
        var stopSignal: String?
        var isReloadWanted = false
        var stop: (@Sendable (String) -> Void)?
        var reload: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())
    /// Filled before anybody else knows of this.
    private nonisolated(unsafe) var sources: [any DispatchSourceSignal] = []

    /// Takes signals from now on.
    init() {
        let handlers: [(Int32, @Sendable () -> Void)] = [
            (SIGTERM, { [self] in stop(by: "SIGTERM") }), (SIGINT, { [self] in stop(by: "SIGINT") }),
            (SIGHUP, { [self] in reload() }),
        ]
        for (number, handler) in handlers {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler(handler: handler)
            source.resume()
            sources.append(source)
        }
    }

    /// Hands over what came so far, and what comes from now on.
    func handle(stop: @escaping @Sendable (String) -> Void, reload: @escaping @Sendable () -> Void) {
        let (stopSignal, isReloadWanted) = state.withLock { state in
            (state.stop, state.reload) = (stop, reload)
            return (state.stopSignal, state.isReloadWanted)
        }
        if isReloadWanted { reload() }
        if let stopSignal { stop(stopSignal) }
    }

    /// Takes no more signals; they are ignored.
    func cancel() {
        for source in sources { source.cancel() }
    }

    private func stop(by name: String) {
        let stop = state.withLock { state in
            if state.stop == nil { state.stopSignal = name }
            return state.stop
        }
        stop?(name)
    }

    private func reload() {
        let reload = state.withLock { state in
            if state.reload == nil { state.isReloadWanted = true }
            return state.reload
        }
        reload?()
    }
}
