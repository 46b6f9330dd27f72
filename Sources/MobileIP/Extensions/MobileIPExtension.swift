// The extensions of control messages (RFC 5944, 1.8 to 1.11). What is not known is not kept: of types from 128 on it is
// skipped and counted, and a known one whose subtype is not known or whose length is wrong likewise; of types below 128
// it makes the message malformed. One-byte padding (type 0) is passed over.

/// An extension of a control message.
public enum MobileIPExtension: Hashable, Sendable {
    /// Types 32, 33 and 34: mobile-home, mobile-foreign and foreign-home authentication.
    case authentication(AuthenticationExtension)
    /// Type 36.
    case generalizedAuthentication(GeneralizedAuthenticationExtension)
    /// Type 44.
    case udpTunnelReply(UDPTunnelReply)
    /// Type 48: the key that is to stand in GRE packets to the sender; 0 in a request has the home agent assign both.
    case greKey(UInt32)
    /// Type 130: the mobile node tunnels to the foreign agent.
    case encapsulatingDeliveryStyle
    /// Type 131.
    case mobileNodeNAI(NetworkAccessIdentifier)
    /// Type 132.
    case challenge(Challenge)
    /// Type 136.
    case carriedNAI(CarriedNetworkAccessIdentifier)
    /// Type 137.
    case revocationSupport(RevocationSupport)
    /// Type 139.
    case dynamicHomeAgent(DynamicHomeAgent)
    /// Type 144.
    case udpTunnelRequest(UDPTunnelRequest)
    /// Type 148, subtype 0.
    case mobileNetworkRequest(MobileNetworkRequest)
    /// Type 148, subtypes 1 and 2.
    case mobileNetworkAcknowledgment(MobileNetworkAcknowledgment)
    /// Type 152, subtype 1.
    case ipv6PrefixRequest(IPv6PrefixRequest)
    /// Type 152, subtype 2.
    case ipv6PrefixReply(IPv6PrefixReply)
    /// Type 152, subtype 3: IPv6 may be tunneled to the care-of address.
    case ipv6TunnelingMode

    /// The encapsulating delivery style extension (RFC 3024, 3.3) has no data.
    static let encapsulatingDeliveryStyleType: UInt8 = 130
    /// The GRE key extension (RFC 6245, 5): subtype 0, a length of two bytes, and four bytes of key.
    static let greKeyType: UInt8 = 48
    static let greKeyDataLength: UInt16 = 4

    /// How many bytes `write` writes.
    public var length: Int {
        switch self {
        case .authentication(let value): value.length
        case .generalizedAuthentication(let value): value.length
        case .udpTunnelReply: 2 + UDPTunnelReply.dataLength
        case .greKey: 8
        case .encapsulatingDeliveryStyle: 2
        case .mobileNodeNAI(let value): 2 + value.bytes.count
        case .challenge(let value): value.length
        case .carriedNAI(let value): value.length
        case .revocationSupport: 2 + RevocationSupport.dataLength
        case .dynamicHomeAgent: DynamicHomeAgent.length
        case .udpTunnelRequest: 2 + UDPTunnelRequest.dataLength
        case .mobileNetworkRequest: 2 + MobileNetworkRequest.dataLength
        case .mobileNetworkAcknowledgment: 2 + MobileNetworkAcknowledgment.dataLength
        case .ipv6PrefixRequest: 2 + IPv6PrefixRequest.dataLength
        case .ipv6PrefixReply: 2 + IPv6PrefixReply.dataLength
        case .ipv6TunnelingMode: 2 + IPv6TunnelingMode.dataLength
        }
    }

    /// Writes the whole extension; reserved bits are zero.
    public func write(to writer: inout MessageWriter) {
        switch self {
        case .authentication(let value): value.write(to: &writer)
        case .generalizedAuthentication(let value): value.write(to: &writer)
        case .udpTunnelReply(let value): value.write(to: &writer)
        case .greKey(let key):
            writer.write(Self.greKeyType)
            writer.write(UInt8(0))
            writer.write(Self.greKeyDataLength)
            writer.write(key)
        case .encapsulatingDeliveryStyle:
            writer.write(Self.encapsulatingDeliveryStyleType)
            writer.write(UInt8(0))
        case .mobileNodeNAI(let value): value.writeAsMobileNode(to: &writer)
        case .challenge(let value): value.write(type: Challenge.type, to: &writer)
        case .carriedNAI(let value): value.write(to: &writer)
        case .revocationSupport(let value): value.write(to: &writer)
        case .dynamicHomeAgent(let value): value.write(to: &writer)
        case .udpTunnelRequest(let value): value.write(to: &writer)
        case .mobileNetworkRequest(let value): value.write(to: &writer)
        case .mobileNetworkAcknowledgment(let value): value.write(to: &writer)
        case .ipv6PrefixRequest(let value): value.write(to: &writer)
        case .ipv6PrefixReply(let value): value.write(to: &writer)
        case .ipv6TunnelingMode: IPv6TunnelingMode.write(to: &writer)
        }
    }
}
