// What the hot path knows of a binding: one cache line, made when the binding is put and never changed after readers
// can see it. A binding that changes gets a new record.

import Bindings
import Synchronization
import Wire

/// A binding, ready for packets. 64 bytes.
@usableFromInline
struct BindingRecord: BitwiseCopyable {
    /// The first 16 bytes of the outer IPv4 header as they lie in memory: TOS, total length, identification and
    /// checksum zero.
    @usableFromInline let outerHeader: (UInt64, UInt64)
    /// The last four bytes of it: the care-of address, in memory order.
    @usableFromInline let outerDestination: UInt32
    /// One's complement sum of the outer header, unfolded, in host order.
    @usableFromInline let outerHeaderSum: UInt32
    /// Where outer packets come from.
    @usableFromInline let careOfAddress: IPv4Address
    /// Where they must be sent to.
    @usableFromInline let endpoint: IPv4Address
    /// The largest inner packet, in bytes.
    @usableFromInline let tunnelMTU: UInt32
    /// The slot of its traffic counters.
    @usableFromInline let traffic: UInt32
    /// Bits of the inner traffic class that the outer header gets: DSCP unless the model is pipe, ECN unless the mode
    /// is compatibility.
    @usableFromInline let copiedOut: UInt8
    /// Bits of the traffic class that decapsulation takes from the outer header: DSCP unless the model is pipe.
    @usableFromInline let copiedIn: UInt8
    @usableFromInline let padding: (UInt16, UInt64) = (0, 0)

    init(_ binding: Binding, endpoint: IPv4Address, tunnelMTU: UInt16, timeToLive: UInt8, traffic: UInt32) {
        var header = IPv4Header(protocol: IPProtocol.ipv6, source: endpoint, destination: binding.careOfAddress)
        header.totalLength = 0
        header.timeToLive = timeToLive
        var bytes: (UInt64, UInt64, UInt64) = (0, 0, 0)
        (outerHeader, outerDestination, outerHeaderSum) = withUnsafeMutableBytes(of: &bytes) { bytes in
            let start = bytes.baseAddress!
            header.write(to: start)
            start.storeNetwork(UInt16(0), at: IPv4.Offset.checksum)
            let words = stride(from: 0, to: IPv4.minimumHeaderLength, by: 2)
            return (
                (start.load(as: UInt64.self), start.load(fromByteOffset: 8, as: UInt64.self)),
                start.load(fromByteOffset: 16, as: UInt32.self),
                words.reduce(0) { $0 + UInt32(UnsafeRawPointer(start).networkUInt16(at: $1)) }
            )
        }
        careOfAddress = binding.careOfAddress
        self.endpoint = endpoint
        self.tunnelMTU = UInt32(tunnelMTU)
        self.traffic = traffic
        copiedOut = (binding.dscp == .uniform ? 0xFC : 0) | (binding.ecn == .normal ? 0x03 : 0)
        copiedIn = binding.dscp == .uniform ? 0xFC : 0
    }

    /// Writes the outer header for a packet of `totalLength` bytes, header included.
    @inlinable @inline(__always)
    func writeOuterHeader(
        to start: UnsafeMutableRawPointer, innerTrafficClass: TrafficClass, totalLength: UInt16, identification: UInt16
    ) {
        let trafficClass = innerTrafficClass.rawValue & copiedOut
        start.storeBytes(of: outerHeader.0, as: UInt64.self)
        start.storeBytes(of: outerHeader.1, toByteOffset: 8, as: UInt64.self)
        start.storeBytes(of: outerDestination, toByteOffset: 16, as: UInt32.self)
        start.storeByte(trafficClass, at: IPv4.Offset.trafficClass)
        start.storeNetwork(totalLength, at: IPv4.Offset.totalLength)
        start.storeNetwork(identification, at: IPv4.Offset.identification)
        // The sum of what is fixed is at hand; what the packet adds is three words (RFC 1624).
        var sum = outerHeaderSum &+ UInt32(trafficClass) &+ UInt32(totalLength) &+ UInt32(identification)
        sum = (sum & 0xFFFF) &+ (sum >> 16)
        sum = (sum & 0xFFFF) &+ (sum >> 16)
        start.storeNetwork(~UInt16(truncatingIfNeeded: sum), at: IPv4.Offset.checksum)
    }
}

/// What went through a binding, counted by the worker, read by the control plane.
@usableFromInline
struct TrafficCell: ~Copyable {
    @usableFromInline let packetsToNode = Atomic<UInt64>(0)
    @usableFromInline let bytesToNode = Atomic<UInt64>(0)
    @usableFromInline let packetsFromNode = Atomic<UInt64>(0)
    @usableFromInline let bytesFromNode = Atomic<UInt64>(0)

    @usableFromInline init() {}

    @inlinable @inline(__always)
    borrowing func addToNode(bytes: Int) {
        Self.increase(packetsToNode, by: 1)
        Self.increase(bytesToNode, by: UInt64(truncatingIfNeeded: bytes))
    }

    @inlinable @inline(__always)
    borrowing func addFromNode(bytes: Int) {
        Self.increase(packetsFromNode, by: 1)
        Self.increase(bytesFromNode, by: UInt64(truncatingIfNeeded: bytes))
    }

    /// One worker writes, so no locked instruction is needed: others only must not read half a number.
    @inlinable @inline(__always)
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
