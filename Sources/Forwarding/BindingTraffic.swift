// What went through a binding.

import Synchronization

/// What went through a binding, counted by the workers, read by the control plane.
struct TrafficCell: ~Copyable {
    let packetsToNode = Atomic<UInt64>(0)
    let bytesToNode = Atomic<UInt64>(0)
    let packetsFromNode = Atomic<UInt64>(0)
    let bytesFromNode = Atomic<UInt64>(0)

    init() {}

    /// - Parameter isShared: whether several workers count.
    @inline(__always)
    borrowing func addToNode(bytes: Int, packets: Int = 1, isShared: Bool) {
        Self.increase(packetsToNode, by: UInt64(truncatingIfNeeded: packets), isShared)
        Self.increase(bytesToNode, by: UInt64(truncatingIfNeeded: bytes), isShared)
    }

    /// - Parameter isShared: whether several workers count.
    @inline(__always)
    borrowing func addFromNode(bytes: Int, packets: Int = 1, isShared: Bool) {
        Self.increase(packetsFromNode, by: UInt64(truncatingIfNeeded: packets), isShared)
        Self.increase(bytesFromNode, by: UInt64(truncatingIfNeeded: bytes), isShared)
    }

    /// Goes on from what was counted elsewhere; only while no worker counts.
    borrowing func set(_ traffic: BindingTraffic) {
        packetsToNode.store(traffic.packetsToNode, ordering: .relaxed)
        bytesToNode.store(traffic.bytesToNode, ordering: .relaxed)
        packetsFromNode.store(traffic.packetsFromNode, ordering: .relaxed)
        bytesFromNode.store(traffic.bytesFromNode, ordering: .relaxed)
    }

    /// Where one worker writes, no locked instruction is needed: others only must not read half a number.
    @inline(__always)
    static func increase(_ cell: borrowing Atomic<UInt64>, by amount: UInt64, _ isShared: Bool) {
        if isShared {
            cell.add(amount, ordering: .relaxed)
        } else {
            cell.store(cell.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
        }
    }
}

/// Inner packets and bytes, by direction, since the binding was first put.
public struct BindingTraffic: Hashable, Sendable {
    /// Into the tunnel.
    public var packetsToNode: UInt64 = 0
    /// Into the tunnel.
    public var bytesToNode: UInt64 = 0
    /// Out of the tunnel.
    public var packetsFromNode: UInt64 = 0
    /// Out of the tunnel.
    public var bytesFromNode: UInt64 = 0

    /// Nothing yet.
    public init() {}

    init(_ cell: borrowing TrafficCell) {
        packetsToNode = cell.packetsToNode.load(ordering: .relaxed)
        bytesToNode = cell.bytesToNode.load(ordering: .relaxed)
        packetsFromNode = cell.packetsFromNode.load(ordering: .relaxed)
        bytesFromNode = cell.bytesFromNode.load(ordering: .relaxed)
    }
}
