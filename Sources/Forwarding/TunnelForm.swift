// The kinds of tunnel, each in a file of its own and of the same shape: what it writes between the outer header and the
// packet, and how it is opened. What all have in common, the outer IPv4 header, is written in `BindingRecord`.

import Bindings
import Wire

/// How a packet lies in its outer IPv4 packet. The lower two bits say what stands before the packet, the third whether
/// UDP and Mobile Tunnel Data stand before that.
enum TunnelForm: UInt8, BitwiseCopyable {
    /// Directly: IP-in-IP (RFC 2003), or protocol 41 (RFC 4213).
    case direct = 0
    /// Behind a GRE header.
    case gre = 1
    /// With a minimal forwarding header in place of its own.
    case minimal = 2
    /// Behind UDP and Mobile Tunnel Data.
    case udp = 4
    /// Behind UDP, Mobile Tunnel Data and a GRE header.
    case greInUDP = 5
    /// With UDP, Mobile Tunnel Data and a minimal forwarding header in place of its own.
    case minimalInUDP = 6

    init(_ binding: Binding) {
        switch binding.encapsulation {
        case .ipInIP: self = .direct
        case .gre: self = .gre
        case .minimal: self = .minimal
        case .udp:
            switch binding.udpEncapsulation {
            case .ipInIP: self = .udp
            case .gre: self = .greInUDP
            case .minimal: self = .minimalInUDP
            }
        }
    }

    /// What it was made of.
    var encapsulation: (Encapsulation, UDPEncapsulation) {
        switch self {
        case .direct: (.ipInIP, .ipInIP)
        case .gre: (.gre, .ipInIP)
        case .minimal: (.minimal, .ipInIP)
        case .udp: (.udp, .ipInIP)
        case .greInUDP: (.udp, .gre)
        case .minimalInUDP: (.udp, .minimal)
        }
    }

    /// Tells tunnels between two addresses apart.
    /// - Parameters:
    ///   - key: of GRE.
    ///   - port: of UDP, the mobile node's.
    func identity(key: UInt32?, port: UInt16) -> UInt64 {
        let options = UInt64(port) << 32 | UInt64(key ?? 0)
        return UInt64(rawValue) << 56 | (key == nil ? 0 : 1 << 48) | options
    }

    /// A tunnel to a care-of address as one number; of those that have the same, who asks must look which is meant.
    static func digest(_ careOfAddress: IPv4Address, _ identity: UInt64) -> IPv4Address {
        let mixed = (identity ^ UInt64(careOfAddress.rawValue) << 24) &* 0x9E37_79B9_7F4A_7C15
        return IPv4Address(rawValue: UInt32(truncatingIfNeeded: mixed >> 32))
    }

    @inline(__always)
    var isUDP: Bool { rawValue & 4 != 0 }

    @inline(__always)
    var isGRE: Bool { rawValue & 3 == 1 }

    @inline(__always)
    var isMinimal: Bool { rawValue & 3 == 2 }

    /// Whether the kernel can cut a super-frame behind such headers: one tunnel, of a kind that it knows, and nothing in its
    /// headers that is another in each segment but lengths and checksums. UDP has a way of its own (`DatagramTrain`).
    var carriesSuperFrames: Bool { self == .direct || self == .gre }
}

/// A tunnel packet, opened as far as its first inner header.
struct OpenedTunnel: BitwiseCopyable {
    /// What it lay in.
    var form: TunnelForm
    /// What is inside: the number of IPv4 or IPv6 as a protocol (4 or 41).
    var `protocol`: UInt8
    /// From the inner packet's first byte to the end of the outer packet.
    var inner: UnsafeRawBufferPointer
    /// Of GRE.
    var key: UInt32?
    /// Of GRE.
    var sequence: UInt32?
    /// Of UDP: the one that is not that of Mobile IP, or that.
    var port: UInt16 = 0
    /// Whether `port` is the destination's.
    var isToOwnPort = false

    /// The same for packets that came by one tunnel.
    var identity: UInt64 { form.identity(key: key, port: port) }

    @inline(__always)
    init(_ form: TunnelForm, protocol: UInt8, inner: UnsafeRawBufferPointer) {
        self.form = form
        self.protocol = `protocol`
        self.inner = inner
    }
}
