// Packets that the control plane must see: registrations, and what nodes say of the multicast groups they listen to. The
// worker copies them into a queue of fixed size; the control plane takes them out. A packet that finds no room, or nobody
// who would take it, is dropped and counted.

import PacketBuffer
import Synchronization
import Wire

/// Why the control plane is given a packet.
public enum PuntReason: UInt8, Sendable, BitwiseCopyable, CaseIterable {
    /// UDP to port 434 of an endpoint that is no tunnel data (RFC 5944, 3). The packet is whole, from its IPv4 header on.
    case mobileIP
    /// Multicast Listener Discovery of a node (RFC 2710, RFC 3810; RFC 5454, 3.3.3), out of its tunnel. The packet is
    /// the node's, from its IPv6 header on.
    case multicastListener
}

/// A packet for the control plane.
public struct PuntedPacket: Hashable, Sendable {
    /// Why it is given away.
    public let reason: PuntReason
    /// The source of the outer header; of a packet without a tunnel, its source.
    public let outerSource: IPv4Address
    /// The home address of the node that sent it; nil where the packet came from no tunnel.
    public let homeAddress: IPv4Address?
    /// From its IP header to its end.
    public let bytes: [UInt8]
}

/// A bounded queue of packets from a worker to the control plane.
public final class PuntQueue: Sendable {
    struct Note: BitwiseCopyable, Sendable {
        var reason: PuntReason
        var outerSource: IPv4Address
        var homeAddress: IPv4Address
    }

    private let queue: PacketQueue<Note>
    private let attached = Atomic(false)

    /// An empty queue.
    /// - Parameter capacity: in bytes, a power of two; a packet takes some 40 beside its own.
    public init(capacity: Int = 1 << 20) { queue = PacketQueue(capacity: capacity) }

    /// Whether somebody takes packets. While nobody does, none is put.
    public var isAttached: Bool {
        get { attached.load(ordering: .relaxed) }
        set { attached.store(newValue, ordering: .relaxed) }
    }

    /// By the worker.
    /// - Returns: false where it does not fit.
    func put(_ bytes: UnsafeRawBufferPointer, _ note: Note) -> Bool { queue.put(bytes, note) }

    /// By the control plane: the packets at the front, `limit` at the most.
    public func take(limit: Int = .max) -> [PuntedPacket] {
        var packets: [PuntedPacket] = []
        while packets.count < limit,
            queue.take({ bytes, note in
                packets.append(
                    PuntedPacket(
                        reason: note.reason, outerSource: note.outerSource,
                        homeAddress: note.homeAddress == .unspecified ? nil : note.homeAddress, bytes: Array(bytes)))
            })
        {}
        return packets
    }

    /// Whether there is nothing to take.
    public var isEmpty: Bool { queue.isEmpty }
}
