// Why a packet that the forwarder hands out is no datagram to the home agent. One list makes the case, the counter's name
// and the sentence.

import Wire

/// The UDP port of Mobile IPv4 (RFC 5944, 3).
public let mobileIPPort: UInt16 = 434

/// Why a punted packet is no datagram to the home agent.
public enum PuntError: CountedReason {
    case puntNotIPv4
    case puntNotUDP
    case puntOtherPort
    case puntChecksum

    /// A sentence for people: what was wrong.
    public var explanation: String {
        switch self {
        case .puntNotIPv4: "The packet is no whole IPv4 packet, or a fragment of one."
        case .puntNotUDP: "The packet does not carry a whole UDP datagram."
        case .puntOtherPort: "The datagram is to another port than 434."
        case .puntChecksum: "The datagram's checksum is wrong."
        }
    }
}
