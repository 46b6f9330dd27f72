// What ICMPv4 says of the path to a care-of address (RFC 4213, 3.2.2; RFC 1191): how large a tunnel packet gets through
// whole. It is believed for ten minutes; then a larger packet may try again.

import Synchronization
import Wire

/// The path MTU to a care-of address, read by all workers. Routers' words come to whichever has the queue of the router, so
/// any may write; MTU and time are one number, so that none sees half of what another wrote.
struct PathMTU: ~Copyable {
    /// How long it is believed, in nanoseconds (RFC 1191, 6.3).
    static var age: UInt64 { 600_000_000_000 }

    /// The lower 16 bits: of outer packets, in bytes; 0 where nothing was said yet. The others: when it was said, on the
    /// workers' clock, in units of 65,536 nanoseconds.
    private let state = Atomic<UInt64>(0)

    init() {}

    /// What holds now, in bytes; nil where nothing is known.
    borrowing func current(now: UInt64) -> UInt32? { Self.current(state.load(ordering: .relaxed), now) }

    private static func current(_ state: UInt64, _ now: UInt64) -> UInt32? {
        let mtu = UInt32(truncatingIfNeeded: state & 0xFFFF)
        // Another worker may be ahead by a batch.
        let time = state & ~0xFFFF
        return mtu == 0 || now >= time && now - time >= age ? nil : mtu
    }

    /// Takes what a router said of a packet that was too big. It never makes the MTU larger, and says nothing where it
    /// does not fit the packet.
    /// - Parameters:
    ///   - reported: the router's word, in bytes.
    ///   - packetLength: of the packet that it dropped, in bytes.
    borrowing func lower(to reported: UInt32, packetLength: UInt32, now: UInt64) {
        let new = max(reported, UInt32(IPv4.minimumMTU))
        var old = state.load(ordering: .relaxed)
        while true {
            // A packet's length is of 16 bits, so the new MTU is.
            guard new < packetLength, packetLength <= 0xFFFF, new <= Self.current(old, now) ?? .max else { return }
            let result = state.weakCompareExchange(
                expected: old, desired: (now & ~0xFFFF) | UInt64(new), ordering: .relaxed)
            if result.exchanged { return }
            old = result.original
        }
    }

    /// What a path is taken to carry on which a packet was too large, where the router does not say how much it does: the
    /// next smaller MTU that links have (RFC 1191, 7.1).
    static func plateau(below packetLength: UInt32) -> UInt32 {
        switch packetLength {
        case 32_001...: 32_000
        case 17_915...: 17_914
        case 8167...: 8166
        case 4353...: 4352
        case 2003...: 2002
        case 1493...: 1492
        case 1007...: 1006
        case 509...: 508
        case 297...: 296
        default: UInt32(IPv4.minimumMTU)
        }
    }
}
