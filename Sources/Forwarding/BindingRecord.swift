// What the hot path knows of a binding: two cache lines, made when the binding is put and never changed after readers
// can see it. A binding that changes gets new records. It has one for each way that its packets go: IPv4 to the home
// address, IPv6 to the care-of address, IPv6 to the home address.

import Bindings
import PrefixTable
import Wire

/// Which packets of a binding go a way.
enum BindingWay: UInt8, BitwiseCopyable, CaseIterable {
    /// IPv4 to and from the home address.
    case ipv4
    /// IPv6 of prefixes that are tunnelled to the care-of address.
    case careOf
    /// IPv6 of prefixes that are tunnelled to the home address, and that packet to the care-of address.
    case homeAddress
}

/// A way of a binding, ready for packets. 128 bytes.
struct BindingRecord: BitwiseCopyable {
    /// All headers that are written before a packet, at the end of this space. Of each IPv4 header, TOS, total length,
    /// identification, flags and checksum are zero.
    typealias Headers = (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)
    let headers: Headers
    /// One's complement sum of the outer IPv4 header as it stands there, unfolded, in host order.
    let outerSum: UInt32
    /// The same of the IPv4 header to the home address, which is the last of the headers; 0 where there is none.
    let middleSum: UInt32
    /// Where outer packets come from.
    let careOfAddress: IPv4Address
    /// Where they must be sent to.
    let endpoint: IPv4Address
    /// 0.0.0.0 where there is none.
    let homeAddress: IPv4Address
    /// The largest inner packet, in bytes; where the path's MTU is followed, the most that it can be.
    let tunnelMTU: UInt32
    /// The slot of its traffic counters.
    let traffic: UInt32
    /// The slot of its sequence numbers; `PrefixTable.noValue` where it has none.
    let sequence: UInt32
    /// The slot of the path's MTU; `PrefixTable.noValue` where that is not followed.
    let pathMTU: UInt32
    /// Of GRE, where `hasKey`.
    let key: UInt32
    /// The node's, of UDP.
    let port: UInt16
    /// Bytes of all headers, 20 to 64.
    let headerLength: UInt8
    let form: TunnelForm
    let way: BindingWay
    /// Bits of the inner traffic class that the outer header gets: DSCP unless the model is pipe, ECN unless the mode
    /// is compatibility.
    let copiedOut: UInt8
    /// Bits of the traffic class that decapsulation takes from the outer header: DSCP unless the model is pipe.
    let copiedIn: UInt8
    let hasKey: Bool
    /// Whether GRE has a checksum.
    let hasChecksum: Bool
    let padding: (UInt8, UInt16, UInt32) = (0, 0, 0)

    /// Space for headers, in bytes.
    static var headerSpace: Int { 64 }

    init(
        _ binding: Binding, way: BindingWay, endpoint: IPv4Address, tunnelMTU: UInt16, timeToLive: UInt8,
        traffic: UInt32, sequence: UInt32, pathMTU: UInt32
    ) {
        let ends = TunnelEnds(endpoint: endpoint, careOfAddress: binding.careOfAddress, timeToLive: timeToLive)
        let bytes = Self.headers(binding, way, ends)
        precondition(bytes.count <= Self.headerSpace, "headers of a tunnel fit their space")
        var headers: Headers = (0, 0, 0, 0, 0, 0, 0, 0)
        let middleOffset = bytes.count - IPv4.minimumHeaderLength
        let hasMiddle = way == .homeAddress && binding.encapsulation != .minimal
        (outerSum, middleSum) = withUnsafeMutableBytes(of: &headers) { space in
            let start = space.baseAddress! + (Self.headerSpace - bytes.count)
            start.copyMemory(from: bytes, byteCount: bytes.count)
            let middle = hasMiddle ? Self.prepareIPv4Header(at: start + middleOffset) : 0
            return (Self.prepareIPv4Header(at: start), middle)
        }
        self.headers = headers
        careOfAddress = binding.careOfAddress
        self.endpoint = endpoint
        homeAddress = binding.homeAddress ?? .unspecified
        self.tunnelMTU = UInt32(tunnelMTU)
        self.traffic = traffic
        self.sequence = sequence
        self.pathMTU = pathMTU
        key = binding.gre?.key ?? 0
        port = binding.udpPort ?? 0
        headerLength = UInt8(bytes.count)
        form = TunnelForm(binding.encapsulation)
        self.way = way
        copiedOut = (binding.dscp == .uniform ? 0xFC : 0) | (binding.ecn == .normal ? 0x03 : 0)
        copiedIn = binding.dscp == .uniform ? 0xFC : 0
        hasKey = binding.gre?.key != nil
        hasChecksum = binding.gre?.checksum == true
    }

    /// All headers before a packet that goes this way (RFC 5454, 3.3.2).
    private static func headers(_ binding: Binding, _ way: BindingWay, _ ends: TunnelEnds) -> [UInt8] {
        let homeAddress = binding.homeAddress ?? .unspecified
        if binding.encapsulation == .minimal, way == .homeAddress {
            return MinimalTunnel.header(ends, homeAddress: homeAddress)
        }
        let payload = way == .careOf ? IPProtocol.ipv6 : IPProtocol.ipv4
        let outer =
            switch binding.encapsulation {
            case .ipInIP: DirectTunnel.header(ends, payload: payload)
            case .gre: GRETunnel.header(ends, payload: payload, binding.gre ?? GREOptions())
            case .udp: UDPTunnel.header(ends, payload: payload, port: binding.udpPort ?? MobileTunnelData.port)
            // Made of the packet's own header.
            case .minimal: ends.outerHeader(protocol: IPProtocol.minimal)
            }
        guard way == .homeAddress else { return outer }
        return outer + ends.header(to: homeAddress, protocol: IPProtocol.ipv6)
    }

    /// Clears what is patched for every packet.
    /// - Returns: the sum of the rest.
    private static func prepareIPv4Header(at start: UnsafeMutableRawPointer) -> UInt32 {
        start.storeNetwork(UInt16(0), at: IPv4.Offset.totalLength)
        start.storeNetwork(UInt16(0), at: IPv4.Offset.checksum)
        let words = stride(from: 0, to: IPv4.minimumHeaderLength, by: 2)
        return words.reduce(0) { $0 + UInt32(UnsafeRawPointer(start).networkUInt16(at: $1)) }
    }

    /// Writes all headers before a packet. GRE's sequence number and checksum are left as they are.
    /// - Parameters:
    ///   - inner: the packet's first byte; `headerSpace` bytes before it may be written to.
    ///   - dontFragment: `IPv4.dontFragment`, or 0.
    ///   - identification: of the outer header; one more where there is a header to the home address.
    @inline(__always)
    func writeHeaders(
        before inner: UnsafeMutableRawPointer, innerLength: Int, innerTrafficClass: TrafficClass,
        dontFragment: UInt16, identification: UInt16
    ) {
        (inner - Self.headerSpace).storeBytes(of: headers, as: Headers.self)
        let trafficClass = innerTrafficClass.rawValue & copiedOut
        let outer = inner - Int(headerLength)
        Self.patchIPv4Header(
            at: outer, sum: outerSum, trafficClass: trafficClass,
            totalLength: UInt16(truncatingIfNeeded: innerLength &+ Int(headerLength)), dontFragment: dontFragment,
            identification: identification)
        if form == .udp {
            outer.storeNetwork(
                UInt16(truncatingIfNeeded: innerLength &+ Int(headerLength) &- IPv4.minimumHeaderLength),
                at: IPv4.minimumHeaderLength &+ UDP.Offset.length)
        }
        if middleSum != 0 {
            Self.patchIPv4Header(
                at: inner - IPv4.minimumHeaderLength, sum: middleSum, trafficClass: trafficClass,
                totalLength: UInt16(truncatingIfNeeded: innerLength &+ IPv4.minimumHeaderLength),
                dontFragment: dontFragment, identification: identification &+ 1)
        }
    }

    @inline(__always)
    static func patchIPv4Header(
        at start: UnsafeMutableRawPointer, sum: UInt32, trafficClass: UInt8, totalLength: UInt16,
        dontFragment: UInt16, identification: UInt16
    ) {
        start.storeByte(trafficClass, at: IPv4.Offset.trafficClass)
        start.storeNetwork(totalLength, at: IPv4.Offset.totalLength)
        start.storeNetwork(identification, at: IPv4.Offset.identification)
        start.storeNetwork(dontFragment, at: IPv4.Offset.fragment)
        // The sum of what is fixed is at hand; what the packet adds is four words (RFC 1624).
        var sum = sum &+ UInt32(trafficClass) &+ UInt32(totalLength) &+ UInt32(identification)
        sum = sum &+ UInt32(dontFragment)
        sum = (sum & 0xFFFF) &+ (sum >> 16)
        sum = (sum & 0xFFFF) &+ (sum >> 16)
        start.storeNetwork(~UInt16(truncatingIfNeeded: sum), at: IPv4.Offset.checksum)
    }
}
