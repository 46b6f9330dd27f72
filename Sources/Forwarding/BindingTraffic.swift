// What went through a binding.

import Synchronization

/// What went through a binding, counted by the worker, read by the control plane.
struct TrafficCell: ~Copyable {
    let packetsToNode = Atomic<UInt64>(0)
    let bytesToNode = Atomic<UInt64>(0)
    let packetsFromNode = Atomic<UInt64>(0)
    let bytesFromNode = Atomic<UInt64>(0)

    init() {}

    @inline(__always)
    borrowing func addToNode(bytes: Int) {
        Self.increase(packetsToNode, by: 1)
        Self.increase(bytesToNode, by: UInt64(truncatingIfNeeded: bytes))
    }

    @inline(__always)
    borrowing func addFromNode(bytes: Int) {
        Self.increase(packetsFromNode, by: 1)
        Self.increase(bytesFromNode, by: UInt64(truncatingIfNeeded: bytes))
    }

    /// One worker writes, so no locked instruction is needed: others only must not read half a number.
    @inline(__always)
    static func increase(_ cell: borrowing Atomic<UInt64>, by amount: UInt64) {
        cell.store(cell.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
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
