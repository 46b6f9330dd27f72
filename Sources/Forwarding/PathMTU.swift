// What ICMPv4 says of the path to a care-of address (RFC 4213, 3.2.2; RFC 1191): how large a tunnel packet gets through
// whole. It is believed for ten minutes; then a larger packet may try again.

import Synchronization
import Wire

/// The path MTU to a care-of address, written and read by the worker alone.
struct PathMTU: ~Copyable {
    /// How long it is believed, in nanoseconds (RFC 1191, 6.3).
    static var age: UInt64 { 600_000_000_000 }

    /// Of outer packets, in bytes; 0 where nothing was said yet.
    private let mtu = Atomic<UInt32>(0)
    /// On the worker's clock.
    private let deadline = Atomic<UInt64>(0)

    init() {}

    /// What holds now, in bytes; nil where nothing is known.
    borrowing func current(now: UInt64) -> UInt32? {
        let value = mtu.load(ordering: .relaxed)
        return value == 0 || now >= deadline.load(ordering: .relaxed) ? nil : value
    }

    /// Takes what a router said of a packet that was too big. It never makes the MTU larger, and says nothing where it
    /// does not fit the packet.
    /// - Parameters:
    ///   - reported: the router's word, in bytes.
    ///   - packetLength: of the packet that it dropped, in bytes.
    borrowing func lower(to reported: UInt32, packetLength: UInt32, now: UInt64) {
        let new = max(reported, UInt32(IPv4.minimumMTU))
        guard new < packetLength, new <= current(now: now) ?? .max else { return }
        mtu.store(new, ordering: .relaxed)
        deadline.store(now &+ Self.age, ordering: .relaxed)
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
