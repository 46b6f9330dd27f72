// Reads one extension after the other. The three formats of RFC 5944, 1.9 to 1.11 differ in where the length stands;
// only types 36 and 48, and 139 where it is well-formed, have it in two bytes.

extension MobileIPExtension {
    /// An extension that was read.
    enum Reading {
        /// One-byte padding.
        case padding
        /// To be kept.
        case value(MobileIPExtension)
        /// To be counted under its type.
        case skipped(UInt8)
    }

    /// Reads the next extension; a byte at least must be left.
    /// - Throws: `extensionTruncated`, `extensionUnrecognized`, `extensionLength`.
    static func read(_ reader: inout MessageReader) throws(MobileIPError) -> Reading {
        let type = reader.readUInt8()
        switch type {
        case 0: return .padding
        case GeneralizedAuthenticationExtension.type, greKeyType:
            guard reader.remaining >= 3 else { throw .extensionTruncated }
            let subtype = reader.readUInt8()
            let length = Int(reader.readUInt16())
            guard reader.remaining >= length else { throw .extensionTruncated }
            var data = reader.part(length)
            return .value(try readLong(type, subtype, &data))
        case DynamicHomeAgent.type:
            var attempt = reader
            if let value = DynamicHomeAgent(reading: &attempt) {
                reader = attempt
                return .value(.dynamicHomeAgent(value))
            }
        default: break
        }
        guard reader.remaining >= 1 else { throw .extensionTruncated }
        let length = Int(reader.readUInt8())
        guard reader.remaining >= length else { throw .extensionTruncated }
        var data = reader.part(length)
        if type < 128 { return .value(try readRequired(type, &data)) }
        return readSkippable(type, &data).map { .value($0) } ?? .skipped(type)
    }

    /// Of the long format, and not to be skipped.
    private static func readLong(
        _ type: UInt8, _ subtype: UInt8, _ data: inout MessageReader
    ) throws(MobileIPError) -> MobileIPExtension {
        if type == greKeyType {
            guard subtype == 0 else { throw .extensionUnrecognized }
            guard data.remaining == Int(greKeyDataLength) else { throw .extensionLength }
            return .greKey(data.readUInt32())
        }
        guard let value = GeneralizedAuthenticationExtension(subtype: subtype, reading: &data) else {
            throw .extensionLength
        }
        return .generalizedAuthentication(value)
    }

    /// Of a type below 128.
    private static func readRequired(
        _ type: UInt8, _ data: inout MessageReader
    ) throws(MobileIPError) -> MobileIPExtension {
        if let kind = AuthenticationExtension.Kind(rawValue: type) {
            guard let value = AuthenticationExtension(kind, reading: &data) else { throw .extensionLength }
            return .authentication(value)
        }
        guard type == UDPTunnelReply.type else { throw .extensionUnrecognized }
        guard data.remaining == UDPTunnelReply.dataLength else { throw .extensionLength }
        guard data.readUInt8() == 0 else { throw .extensionUnrecognized }
        return .udpTunnelReply(UDPTunnelReply(reading: &data))
    }

    /// Of a type from 128 on; nil where it is not understood.
    private static func readSkippable(_ type: UInt8, _ data: inout MessageReader) -> MobileIPExtension? {
        switch type {
        case encapsulatingDeliveryStyleType: data.remaining == 0 ? .encapsulatingDeliveryStyle : nil
        case NetworkAccessIdentifier.mobileNodeType:
            NetworkAccessIdentifier(bytes: data.readRest()).map { .mobileNodeNAI($0) }
        case Challenge.type: Challenge(bytes: data.readRest()).map { .challenge($0) }
        case CarriedNetworkAccessIdentifier.type:
            CarriedNetworkAccessIdentifier(reading: &data).map { .carriedNAI($0) }
        case RevocationSupport.type: RevocationSupport(reading: &data).map { .revocationSupport($0) }
        case UDPTunnelRequest.type: UDPTunnelRequest(reading: &data).map { .udpTunnelRequest($0) }
        case MobileNetwork.type: MobileNetwork.read(&data)
        case DualStackExtension.type: DualStackExtension.read(&data)
        default: nil
        }
    }
}
