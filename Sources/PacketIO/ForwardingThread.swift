// A thread that forwards shares its processor with the control plane, which may have a million bindings to change, and with
// whatever else the host does. Packets can't wait for that: the scheduler is asked to let the thread run as soon as there
// is something to do.

import CLinuxNet
import Glibc
import PacketBuffer

/// The calling thread, as one that forwards.
public enum ForwardingThread {
    /// How much sooner than others it runs; needs CAP_SYS_NICE.
    private static let nice: Int32 = -10
    /// How long it may run before others have their turn, in nanoseconds: the least that the kernel takes.
    private static let slice: UInt64 = 100_000

    /// Asks for short waits. Without the privilege for a higher priority the slice alone is asked for, and where the
    /// kernel knows none (before Linux 6.12) nothing changes.
    public static func askForShortWaits() {
        if clinuxnet_set_slice(nice, slice) != 0 { _ = clinuxnet_set_slice(0, slice) }
    }

    /// Has the thread run on one processor alone, so that it finds there what it left in the caches.
    /// - Throws: where it may not, or there is none of that number.
    public static func pin(to processor: Int) throws(PortError) {
        let error = UInt32(exactly: processor).map(clinuxnet_pin) ?? EINVAL
        guard error == 0 else {
            throw PortError("a worker can't be pinned to processor \(processor): \(String(cString: strerror(error)))")
        }
    }

    /// Whether it may run on a processor.
    public static func mayRun(on processor: Int) -> Bool {
        UInt32(exactly: processor).map(clinuxnet_may_run_on) ?? false
    }
}
