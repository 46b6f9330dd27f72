// What tunnel packets look like to the kernel's routing: all that tells them from the host's own packets to the same
// address is the protocol number, and for UDP the port.

/// A kind of tunnel packet that the forwarder takes.
public enum TunnelProtocol: String, Sendable, Hashable, CaseIterable {
    /// IPv6 in IPv4 (RFC 4213).
    case ipv6
    /// IPv4 in IPv4 (RFC 2003).
    case ipv4
    /// GRE (RFC 2784).
    case gre
    /// Minimal encapsulation (RFC 2004).
    case minimal
    /// Mobile Tunnel Data (RFC 3519), and whatever else comes to its port, as registrations do (RFC 5944).
    case udp

    /// The IPv4 header's protocol number.
    var number: UInt8 {
        switch self {
        case .ipv6: 41
        case .ipv4: 4
        case .gre: 47
        case .minimal: 55
        case .udp: 17
        }
    }

    /// Nil where there is none. The forwarder sends by the same port.
    var destinationPort: UInt16? { self == .udp ? 434 : nil }
}
