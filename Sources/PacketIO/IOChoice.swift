// Which port a worker gets: io_uring where the kernel lets us have it, plain system calls otherwise.

import IOUring
import PacketBuffer

/// How packets are to be moved.
public enum IOChoice: String, Sendable, CaseIterable {
    /// io_uring, or system calls where it can't be had.
    case automatic
    /// io_uring or an error.
    case ioUring = "io_uring"
    /// A system call a packet.
    case systemCalls = "plain"
}

/// A port of either kind, for a switch outside the worker's loop.
public enum ChosenPort: ~Copyable, Sendable {
    /// A port on io_uring.
    case ioUring(IOUringPort)
    /// A port on plain system calls.
    case systemCalls(SystemCallPort, fallback: IOUringError?)

    /// Makes the port that was chosen. Where `automatic` ends with system calls, `fallback` says why io_uring can't be
    /// had, in a sentence for the log.
    /// - Throws: `PortError` where that port can't be had, or where memory or descriptors are short.
    public init(
        _ choice: IOChoice, devices: consuming PortDevices, waker: PortWaker, configuration: PortConfiguration
    ) throws(PortError) {
        guard choice != .systemCalls else {
            let port = try SystemCallPort(devices: devices, waker: waker, configuration: configuration)
            self = .systemCalls(port, fallback: nil)
            return
        }
        let rings: PortRing
        do throws(IOUringError) {
            rings = try PortRing(configuration, devices: devices, waker: waker)
        } catch {
            guard choice == .automatic else { throw PortError(error.description) }
            let port = try SystemCallPort(devices: devices, waker: waker, configuration: configuration)
            self = .systemCalls(port, fallback: error)
            return
        }
        self = .ioUring(
            try IOUringPort(rings: rings, devices: devices, waker: waker, configuration: configuration))
    }
}
