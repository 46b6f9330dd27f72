// The kinds of tunnel, each in a file of its own and of the same shape: how its header is laid out for a binding, once,
// when the binding is put; and how it is opened, for every packet that comes out of one. What all have in common, the
// outer IPv4 header, is patched for every packet in `BindingRecord`.

import Bindings
import Wire

/// How a packet lies in its outer IPv4 packet.
enum TunnelForm: UInt8, BitwiseCopyable {
    /// Directly: IP-in-IP (RFC 2003), or protocol 41 (RFC 4213).
    case direct
    /// Behind a GRE header.
    case gre
    /// With a minimal forwarding header in place of its own.
    case minimal
    /// Behind UDP and Mobile Tunnel Data.
    case udp

    init(_ encapsulation: Encapsulation) {
        switch encapsulation {
        case .ipInIP: self = .direct
        case .gre: self = .gre
        case .minimal: self = .minimal
        case .udp: self = .udp
        }
    }
}

/// What a header is laid out from.
struct TunnelEnds {
    let endpoint: IPv4Address
    let careOfAddress: IPv4Address
    let timeToLive: UInt8

    /// An outer header, before a payload of that protocol.
    func outerHeader(protocol: UInt8) -> [UInt8] { header(to: careOfAddress, protocol: `protocol`) }

    /// A header of this endpoint's.
    func header(to destination: IPv4Address, protocol: UInt8) -> [UInt8] {
        var header = IPv4Header(protocol: `protocol`, source: endpoint, destination: destination)
        header.timeToLive = timeToLive
        return written(IPv4.minimumHeaderLength) { header.write(to: $0) }
    }
}

/// The bytes that `write` writes.
func written(_ count: Int, _ write: (UnsafeMutableRawPointer) -> Void) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    bytes.withUnsafeMutableBytes { if let start = $0.baseAddress { write(start) } }
    return bytes
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
    /// The node's, of UDP.
    var port: UInt16 = 0

    /// The same for packets that came by one tunnel.
    var identity: UInt64 {
        UInt64(form.rawValue) << 40 | (key == nil ? 0 : 1 << 33) | UInt64(key ?? UInt32(port))
    }

    @inline(__always)
    init(_ form: TunnelForm, protocol: UInt8, inner: UnsafeRawBufferPointer) {
        self.form = form
        self.protocol = `protocol`
        self.inner = inner
    }
}
