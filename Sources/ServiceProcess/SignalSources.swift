// Signals as events: SIGTERM and SIGINT stop, SIGHUP reloads. They are taken from the first moment on, so that none ends
// the daemon half-way through its start; what comes before there is somebody to handle it is handled then.
//
// A handler writes the signal's number to a pipe, and a thread of its own reads it. Dispatch's signal sources are not
// used: they are installed some time after they were asked for, and what comes before that is lost.

import Glibc
import Synchronization

/// Signals can't be taken.
public struct SignalSourcesError: Error, CustomStringConvertible {
    /// As errno has it.
    public let number: Int32

    /// What is missing.
    public var description: String { "no descriptors for a pipe: \(String(cString: strerror(number)))" }
}

/// Where the handler writes to. Set once, before there is a handler.
private nonisolated(unsafe) var signalPipe: Int32 = -1

/// The daemon's signals; one for the process.
public final class SignalSources: Sendable {
    private struct State {
        var stopSignal: String?
        var isReloadWanted = false
        var stop: (@Sendable (String) -> Void)?
        var reload: (@Sendable () -> Void)?
    }

    private static let numbers = [SIGTERM, SIGINT, SIGHUP]
    private let state = Mutex(State())

    /// Takes signals from now on.
    /// - Throws: where there is no descriptor left.
    public init() throws(SignalSourcesError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            throw SignalSourcesError(number: errno)
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let reading = ends[0]
        signalPipe = ends[1]
        startThread(named: "mooring-signals") { [self] in read(from: reading) }
        for number in Self.numbers {
            // Only what is safe in a handler (signal-safety(7)): a call, and errno as it was.
            signal(number) { number in
                let before = errno
                var byte = UInt8(truncatingIfNeeded: number)
                _ = Glibc.write(signalPipe, &byte, 1)
                errno = before
            }
        }
    }

    /// The name of a signal to stop that came before `handle` was called, for who can turn back until then; else nil.
    public var stopSignal: String? { state.withLock(\.stopSignal) }

    /// Hands over what came so far, and what comes from now on.
    public func handle(stop: @escaping @Sendable (String) -> Void, reload: @escaping @Sendable () -> Void) {
        let (stopSignal, isReloadWanted) = state.withLock { state in
            (state.stop, state.reload) = (stop, reload)
            return (state.stopSignal, state.isReloadWanted)
        }
        if isReloadWanted { reload() }
        if let stopSignal { stop(stopSignal) }
    }

    /// Takes no more signals; they are ignored.
    public func cancel() {
        for number in Self.numbers { signal(number, SIG_IGN) }
    }

    private func read(from descriptor: Int32) {
        var byte: UInt8 = 0
        while true {
            let count = Glibc.read(descriptor, &byte, 1)
            if count < 0 && errno == EINTR { continue }
            guard count == 1 else { return }
            switch Int32(byte) {
            case SIGTERM: stop(by: "SIGTERM")
            case SIGINT: stop(by: "SIGINT")
            default: reload()
            }
        }
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
