// The shape of Tests/Vectors/mobileip.json, which Tests/Vectors/mobileip.py makes, and what it says as values of the
// module.

import MobileIP
import TestSupport
import Testing
import Wire

struct MobileIPVectors: Decodable {
    struct Extension: Decodable, Sendable {
        let kind: String
        let type: UInt8?
        let subtype: UInt8?
        let code: UInt8?
        let length: UInt8?
        let number: UInt32?
        let address: String?
        let bytes: Hex?
        let flags: [Bool]?
    }

    struct Fields: Decodable, Sendable {
        let flags: UInt16?
        let code: UInt8?
        let lifetime: UInt16?
        let addresses: [String]
        let identification: UInt64
    }

    struct Authentication: Decodable, Sendable {
        let type: UInt8
        let index: Int
        let covered: Int
    }

    struct Message: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let type: UInt8
        let bytes: Hex
        /// As it is written, where what came had padding, reserved bits or extensions that are skipped.
        let written: Hex
        let fields: Fields
        let extensions: [Extension]
        let skipped: [String: Int]
        let authentications: [Authentication]
        /// Where the fixed part and each extension ends.
        let ends: [Int]
        let reserved: Bool

        var testDescription: String { name }
    }

    struct Malformed: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let bytes: Hex
        let reason: String

        var testDescription: String { name }
    }

    struct Signed: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let algorithm: String
        let key: Hex
        let spi: UInt32
        let type: UInt8
        let before: Hex
        let added: [Extension]
        let bytes: Hex

        var testDescription: String { name }
    }

    struct Authenticator: Decodable, Sendable {
        let algorithm: String
        let key: Hex
        let data: Hex
        let authenticator: Hex
    }

    let messages: [Message]
    let malformed: [Malformed]
    let signed: [Signed]
    let authenticators: [Authenticator]
    let advertisements: [AdvertisementVector]
    let malformedAdvertisements: [Malformed]
    let solicitation: Hex
    let solicitationReserved: Hex

    static let all: MobileIPVectors = Vectors.load("mobileip")

    static func message(_ name: String) -> Message {
        guard let message = all.messages.first(where: { $0.name == name }) else { fatalError("no vector \(name)") }
        return message
    }
}

struct AdvertisementVector: Decodable, Sendable, CustomTestStringConvertible {
    struct Fields: Decodable, Sendable {
        let common: Bool
        let lifetime: UInt16
        let routers: [String]
        let preferences: [Int32]
        let sequence: UInt16
        let registrationLifetime: UInt16
        let flags: UInt16
        let careOf: [String]
    }

    let name: String
    let bytes: Hex
    let written: Hex
    let fields: Fields
    let prefixLengths: [UInt8]?
    let challenge: Hex?
    let skipped: [String: Int]

    var testDescription: String { name }

    var value: AgentAdvertisement {
        get throws {
            AgentAdvertisement(
                routesCommonTraffic: fields.common, lifetime: fields.lifetime,
                routers: try zip(fields.routers, fields.preferences).map {
                    AgentAdvertisement.Router(address: try need(IPv4Address($0)), preference: $1)
                },
                sequenceNumber: fields.sequence,
                registrationLifetime: RegistrationLifetime(seconds: fields.registrationLifetime),
                flags: AgentAdvertisement.Flags(rawValue: fields.flags),
                careOfAddresses: try fields.careOf.map { try need(IPv4Address($0)) },
                prefixLengths: prefixLengths, challenge: try challenge.map { try need(Challenge(bytes: $0.bytes)) })
        }
    }
}

extension MobileIPVectors.Message {
    /// What the vector says, as the value of one of the four types.
    var value: any MobileIPMessage {
        get throws {
            let addresses = try fields.addresses.map { try need(IPv4Address($0)) }
            let extensions = try extensions.map { try $0.value }
            switch MobileIPMessageType(rawValue: type) {
            case .registrationRequest:
                return RegistrationRequest(
                    flags: RegistrationRequest.Flags(rawValue: UInt8(try need(fields.flags))),
                    lifetime: RegistrationLifetime(seconds: try need(fields.lifetime)),
                    homeAddress: addresses[0], homeAgent: addresses[1], careOfAddress: addresses[2],
                    identification: fields.identification, extensions: extensions)
            case .registrationReply:
                return RegistrationReply(
                    code: ReplyCode(rawValue: try need(fields.code)),
                    lifetime: RegistrationLifetime(seconds: try need(fields.lifetime)),
                    homeAddress: addresses[0], homeAgent: addresses[1], identification: fields.identification,
                    extensions: extensions)
            case .registrationRevocation:
                return RegistrationRevocation(
                    flags: RegistrationRevocation.Flags(rawValue: try need(fields.flags)),
                    homeAddress: addresses[0], homeDomainAddress: addresses[1], foreignDomainAddress: addresses[2],
                    identifier: UInt32(fields.identification), extensions: extensions)
            case .registrationRevocationAcknowledgment:
                return RegistrationRevocationAcknowledgment(
                    inform: fields.flags == 0x8000, homeAddress: addresses[0],
                    identifier: UInt32(fields.identification), extensions: extensions)
            case nil: fatalError("type \(type)")
            }
        }
    }
}

extension MobileIPVectors.Extension {
    private var homePrefix: IPv6HomePrefix {
        get throws {
            IPv6HomePrefix(length: try need(length), address: try need(IPv6Address(try need(address))))
        }
    }

    private var networkPrefix: MobileNetworkPrefix {
        get throws {
            MobileNetworkPrefix(length: try need(length), address: try need(IPv4Address(try need(address))))
        }
    }

    private var identifier: NetworkAccessIdentifier {
        get throws { try need(NetworkAccessIdentifier(bytes: try need(bytes).bytes)) }
    }

    /// What the vector says.
    var value: MobileIPExtension {
        get throws {
            switch kind {
            case "authentication":
                .authentication(
                    AuthenticationExtension(
                        kind: try need(AuthenticationExtension.Kind(rawValue: try need(type))),
                        securityParameterIndex: try need(number), authenticator: try need(bytes).bytes))
            case "generalizedAuthentication":
                .generalizedAuthentication(
                    GeneralizedAuthenticationExtension(
                        subtype: try need(subtype), securityParameterIndex: try need(number),
                        authenticator: try need(bytes).bytes))
            case "greKey": .greKey(try need(number))
            case "encapsulatingDeliveryStyle": .encapsulatingDeliveryStyle
            case "mobileNodeNAI": .mobileNodeNAI(try identifier)
            case "challenge": .challenge(try need(Challenge(bytes: try need(bytes).bytes)))
            case "carriedNAI":
                .carriedNAI(
                    CarriedNetworkAccessIdentifier(
                        subtype: CarriedNetworkAccessIdentifier.Subtype(rawValue: try need(subtype)),
                        identifier: try identifier))
            case "revocationSupport":
                .revocationSupport(
                    RevocationSupport(inform: try need(flags)[0], timestamp: try need(number)))
            case "dynamicHomeAgent":
                .dynamicHomeAgent(
                    DynamicHomeAgent(
                        role: try need(DynamicHomeAgent.Role(rawValue: try need(subtype))),
                        address: try need(IPv4Address(try need(address)))))
            default: try networkValue
            }
        }
    }

    private var networkValue: MobileIPExtension {
        get throws {
            switch kind {
            case "udpTunnelRequest":
                .udpTunnelRequest(
                    UDPTunnelRequest(
                        force: try need(flags)[0], registrationThroughForeignAgentRequired: try need(flags)[1],
                        encapsulation: try need(code)))
            case "udpTunnelReply":
                .udpTunnelReply(
                    UDPTunnelReply(
                        code: UDPTunnelReply.Code(rawValue: try need(code)), isForced: try need(flags)[0],
                        keepaliveInterval: UInt16(try need(number))))
            case "mobileNetworkRequest": .mobileNetworkRequest(MobileNetworkRequest(prefix: try networkPrefix))
            case "mobileNetworkAcknowledgment":
                .mobileNetworkAcknowledgment(
                    MobileNetworkAcknowledgment(
                        mode: try need(MobileNetworkAcknowledgment.Mode(rawValue: try need(subtype))),
                        code: MobileNetworkAcknowledgment.Code(rawValue: try need(code)),
                        prefix: try networkPrefix))
            case "ipv6PrefixRequest": .ipv6PrefixRequest(IPv6PrefixRequest(prefix: try homePrefix))
            case "ipv6PrefixReply":
                .ipv6PrefixReply(
                    IPv6PrefixReply(
                        code: IPv6PrefixReplyCode(rawValue: try need(code)), prefix: try homePrefix))
            case "ipv6TunnelingMode": .ipv6TunnelingMode
            default: fatalError("kind \(kind)")
            }
        }
    }
}

extension MobileIPDatagram {
    /// The message without its type.
    var message: any MobileIPMessage {
        switch self {
        case .registrationRequest(let received): received.message
        case .registrationReply(let received): received.message
        case .registrationRevocation(let received): received.message
        case .registrationRevocationAcknowledgment(let received): received.message
        }
    }

    var authentications: [ReceivedAuthentication] {
        switch self {
        case .registrationRequest(let received): received.authentications
        case .registrationReply(let received): received.authentications
        case .registrationRevocation(let received): received.authentications
        case .registrationRevocationAcknowledgment(let received): received.authentications
        }
    }

    var skipped: SkippedExtensions {
        switch self {
        case .registrationRequest(let received): received.skipped
        case .registrationReply(let received): received.skipped
        case .registrationRevocation(let received): received.skipped
        case .registrationRevocationAcknowledgment(let received): received.skipped
        }
    }

    func verify(_ kind: AuthenticationExtension.Kind, with association: SecurityAssociation) throws {
        switch self {
        case .registrationRequest(let received): try association.verify(received, kind)
        case .registrationReply(let received): try association.verify(received, kind)
        case .registrationRevocation(let received): try association.verify(received, kind)
        case .registrationRevocationAcknowledgment(let received): try association.verify(received, kind)
        }
    }
}

/// Whether two messages are of one type and equal.
func areEqual(_ left: any MobileIPMessage, _ right: any MobileIPMessage) -> Bool {
    AnyHashable(left) == AnyHashable(right)
}

/// Why bytes are no message; nil where they are one.
func refusal(of bytes: [UInt8]) -> MobileIPError? {
    do {
        _ = try MobileIPDatagram.parse(bytes)
        return nil
    } catch {
        return error
    }
}

/// What a vector must have; unlike the macro it can stand within another.
private func need<Value>(_ value: Value?) throws -> Value { try #require(value) }
