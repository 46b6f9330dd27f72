// What the hot path knows of a binding: one cache line, made when the binding is put and never changed after readers can
// see it. A binding that changes gets a new record. All headers before a packet are written from it, whichever way the
// packet goes: IPv4 to the home address, IPv6 to the care-of address, or IPv6 to the home address and that packet to the
// care-of address; at the mobile node, all of them to the home agent. What room is left in the line holds the first prefix, for the writer.

import Bindings
import PrefixTable
import Wire

/// A binding, ready for packets. 64 bytes.
struct BindingRecord: BitwiseCopyable {
    /// Where outer packets come from: at the mobile node the home agent's address.
    let careOfAddress: IPv4Address
    /// Where they must be sent to.
    let endpoint: IPv4Address
    /// 0.0.0.0 where there is none. At the mobile node its own.
    let homeAddress: IPv4Address
    /// Of GRE, where `hasKey`.
    let key: UInt32
    /// One's complement sum of what all headers to the care-of address have in common, unfolded, in host order: all but
    /// TOS, total length, identification, flags and protocol.
    let outerSum: UInt32
    /// The same of the header to the home address, or from it at the mobile node.
    let middleSum: UInt32
    /// The slot of its traffic counters.
    let traffic: UInt32
    /// The slot of its sequence numbers; `PrefixTable.noValue` where it has none.
    let sequence: UInt32
    /// The slot of the path's MTU; `PrefixTable.noValue` where that is not followed.
    let pathMTU: UInt32
    /// The largest inner packet, in bytes; where the path's MTU is followed, the most that it can be.
    let tunnelMTU: UInt16
    /// The mobile node's, of UDP.
    let port: UInt16
    let form: TunnelForm
    let timeToLive: UInt8
    /// Bits of the inner traffic class that the outer header gets: DSCP unless the model is pipe, ECN unless the mode
    /// is compatibility.
    let copiedOut: UInt8
    /// Bits of the traffic class that decapsulation takes from the outer header: DSCP unless the model is pipe.
    let copiedIn: UInt8
    /// The upper byte of GRE's flags.
    let greFlags: UInt8
    /// Of GRE, in bytes; 0 where there is none.
    let greLength: UInt8
    /// Of the binding's first prefix; the writer knows whether there is one.
    let prefixLength: UInt8
    let traits: Traits
    /// Of the binding's first prefix.
    let prefixAddress: IPv6Address

    /// What concerns the mobile node's end (RFC 5454, 3.5).
    struct Traits: OptionSet, BitwiseCopyable {
        let rawValue: UInt8
        /// This is the mobile node's end.
        static let mobileNode = Traits(rawValue: 1)
        /// What is of the link goes to the home agent (RFC 5454, 3.7.1).
        static let carriesLinkLocal = Traits(rawValue: 2)
    }

    init(
        _ binding: Binding, endpoint: IPv4Address, tunnelMTU: UInt16, timeToLive: UInt8, traffic: UInt32,
        sequence: UInt32, pathMTU: UInt32
    ) {
        careOfAddress = binding.careOfAddress
        self.endpoint = endpoint
        let homeAddress = binding.homeAddress ?? .unspecified
        self.homeAddress = homeAddress
        let isMobileNode = binding.role == .mobileNode
        key = binding.gre?.key ?? 0
        outerSum = Self.fixedSum(from: endpoint, to: careOfAddress, timeToLive: timeToLive)
        middleSum = Self.fixedSum(
            from: isMobileNode ? homeAddress : endpoint, to: isMobileNode ? careOfAddress : homeAddress,
            timeToLive: timeToLive)
        self.traffic = traffic
        self.sequence = sequence
        self.pathMTU = pathMTU
        self.tunnelMTU = tunnelMTU
        port = binding.udpPort ?? 0
        form = TunnelForm(binding)
        self.timeToLive = timeToLive
        copiedOut = (binding.dscp == .uniform ? 0xFC : 0) | (binding.ecn == .normal ? 0x03 : 0)
        copiedIn = binding.dscp == .uniform ? 0xFC : 0
        let options = form.isGRE ? binding.gre ?? GREOptions() : nil
        (greFlags, greLength) = options.map(GRETunnel.shape) ?? (0, 0)
        let first = binding.prefixes.first?.prefix ?? binding.networks.first?.mapped
        prefixLength = first?.length ?? 0
        prefixAddress = first?.address ?? .unspecified
        traits =
            isMobileNode
            ? binding.prefixes.contains { $0.prefix == .linkLocal } ? [.mobileNode, .carriesLinkLocal] : .mobileNode
            : []
    }

    private static func fixedSum(from source: IPv4Address, to destination: IPv4Address, timeToLive: UInt8) -> UInt32 {
        [source, destination].reduce(0x4500 + UInt32(timeToLive) << 8) {
            $0 + $1.rawValue >> 16 + $1.rawValue & 0xFFFF
        }
    }

    /// Whether this is the mobile node's end.
    @inline(__always)
    var isMobileNode: Bool { traits.contains(.mobileNode) }

    /// Whether the tunnel starts at the home address itself, as it does at a foreign agent, so that there is no header but
    /// the one by way of the home address.
    @inline(__always)
    var startsAtHomeAddress: Bool { isMobileNode && endpoint == homeAddress }

    /// This end's address of the tunnel by way of the home address.
    @inline(__always)
    var middleSource: IPv4Address { isMobileNode ? homeAddress : endpoint }

    /// The other end's address of the tunnel by way of the home address.
    @inline(__always)
    var middleDestination: IPv4Address { isMobileNode ? careOfAddress : homeAddress }

    /// The ports of UDP, this end's and the other's: the home agent's is that of Mobile IP (RFC 3519, 4.1).
    var ports: (near: UInt16, far: UInt16) {
        isMobileNode ? (port, MobileTunnelData.port) : (MobileTunnelData.port, port)
    }

    /// Whether UDP comes to a port of this end's that is not that of Mobile IP.
    @inline(__always)
    var hasOwnPort: Bool { isMobileNode && port != MobileTunnelData.port }

    var hasKey: Bool { greFlags & UInt8(GRE.Flag.key >> 8) != 0 }

    /// Whether GRE has a checksum.
    var hasChecksum: Bool { greFlags & UInt8(GRE.Flag.checksum >> 8) != 0 }

    /// Whether GRE has a sequence number.
    var hasSequence: Bool { greFlags & UInt8(GRE.Flag.sequence >> 8) != 0 }

    /// The tunnel to the care-of address (`TunnelForm.digest`).
    var digest: IPv4Address {
        TunnelForm.digest(careOfAddress, form.identity(key: hasKey ? key : nil, port: form.isUDP ? port : 0))
    }

    /// All headers that are written before a packet, in bytes; with minimal encapsulation, by what IPv4 grows.
    func headerLength(isIPv4: Bool, usesHomeAddress: Bool) -> Int {
        let udp = form.isUDP ? UDPTunnel.headerLength : 0
        if form.isMinimal {
            return udp + (isIPv4 ? MinimalTunnel.growth : IPv4.minimumHeaderLength + lengthOfMinimalHeader)
        }
        return udp + IPv4.minimumHeaderLength * (usesHomeAddress ? 2 : 1) + Int(greLength)
    }

    /// Of the minimal forwarding header of IPv6 by way of the home address, in bytes. At the home agent the source is that
    /// of the outer header.
    fileprivate var lengthOfMinimalHeader: Int {
        isMobileNode ? MinimalEncapsulation.longHeaderLength : MinimalEncapsulation.shortHeaderLength
    }

    /// Bytes of all headers at the most: UDP and GRE with all options, and two of IPv4.
    static var largestHeaderLength: Int {
        2 * IPv4.minimumHeaderLength + UDPTunnel.headerLength + GRE.maximumHeaderLength
    }
}

// Of a pointer, since a record that lends itself to a function that is not inlined is copied for that, packet by packet.
extension UnsafePointer<BindingRecord> {
    /// Writes all headers before a packet; IPv4 in minimal encapsulation is `MinimalTunnel.encapsulate`'s. GRE's sequence
    /// number and checksum are left as they are.
    /// - Parameters:
    ///   - inner: the packet's first byte; `largestHeaderLength` bytes before it may be written to.
    ///   - dontFragment: `IPv4.dontFragment`, or 0.
    ///   - identification: of each header; their destinations differ.
    /// - Returns: how many bytes were written.
    @inline(__always)
    func writeHeaders(
        before inner: UnsafeMutableRawPointer, innerLength: Int, isIPv4: Bool, usesHomeAddress: Bool,
        innerTrafficClass: TrafficClass, dontFragment: UInt16, identification: UInt16
    ) -> Int {
        let trafficClass = innerTrafficClass.rawValue & pointee.copiedOut
        var start = inner
        var payload = isIPv4 ? IPProtocol.ipv4 : IPProtocol.ipv6
        if usesHomeAddress, !pointee.form.isMinimal {
            start -= IPv4.minimumHeaderLength
            writeIPv4Header(
                at: start, sum: pointee.middleSum, source: pointee.middleSource, destination: pointee.middleDestination,
                protocol: payload, trafficClass: trafficClass,
                totalLength: innerLength &+ IPv4.minimumHeaderLength, dontFragment: dontFragment,
                identification: identification)
            payload = IPProtocol.ipv4
        }
        if pointee.form != .direct {
            (start, payload) = writeTunnelHeaders(before: start, payload: payload, end: inner + innerLength)
        }
        start -= IPv4.minimumHeaderLength
        let length = inner - start
        writeIPv4Header(
            at: start, sum: pointee.outerSum, source: pointee.endpoint, destination: pointee.careOfAddress,
            protocol: payload, trafficClass: trafficClass,
            totalLength: innerLength &+ length, dontFragment: dontFragment, identification: identification)
        return length
    }

    /// Writes what stands between the outer header and the packet.
    /// - Parameters:
    ///   - start: of the packet with what was written before it.
    ///   - end: of the packet.
    /// - Returns: the first byte of what was written, and its protocol.
    @inline(never)
    private func writeTunnelHeaders(
        before start: UnsafeMutableRawPointer, payload: UInt8, end: UnsafeMutableRawPointer
    ) -> (start: UnsafeMutableRawPointer, protocol: UInt8) {
        var (start, payload) = (start, payload)
        if pointee.form.isGRE {
            start -= Int(pointee.greLength)
            payload = GRETunnel.write(to: start, payload: payload, flags: pointee.greFlags, key: pointee.key)
        } else if pointee.form.isMinimal {
            start -= pointee.lengthOfMinimalHeader
            payload = MinimalTunnel.write(
                to: start, source: pointee.isMobileNode ? pointee.homeAddress : nil,
                destination: pointee.middleDestination)
        }
        if pointee.form.isUDP {
            start -= UDPTunnel.headerLength
            payload = UDPTunnel.write(to: start, payload: payload, ports: pointee.ports, length: end - start)
        }
        return (start, payload)
    }

    @inline(__always)
    private func writeIPv4Header(
        at start: UnsafeMutableRawPointer, sum: UInt32, source: IPv4Address, destination: IPv4Address, protocol: UInt8,
        trafficClass: UInt8, totalLength: Int, dontFragment: UInt16, identification: UInt16
    ) {
        let length = UInt16(truncatingIfNeeded: totalLength)
        let first =
            UInt64(0x4500 | UInt16(trafficClass)) << 48 | UInt64(length) << 32 | UInt64(identification) << 16
            | UInt64(dontFragment)
        // The sum of what is fixed is at hand; what the packet adds is a few words (RFC 1624).
        var sum = sum &+ UInt32(trafficClass) &+ UInt32(length) &+ UInt32(identification)
        sum = sum &+ UInt32(dontFragment) &+ UInt32(`protocol`)
        sum = (sum & 0xFFFF) &+ (sum >> 16)
        sum = (sum & 0xFFFF) &+ (sum >> 16)
        let hops = UInt64(pointee.timeToLive) << 56 | UInt64(`protocol`) << 48
        let second = hops | UInt64(~sum & 0xFFFF) << 32 | UInt64(source.rawValue)
        start.storeNetwork(first, at: 0)
        start.storeNetwork(second, at: 8)
        start.storeNetwork(destination.rawValue, at: IPv4.Offset.destination)
    }
}
