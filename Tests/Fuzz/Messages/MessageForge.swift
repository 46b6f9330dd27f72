// Makes messages out of messages: byte by byte, extension by extension, and with authentications that hold, so that what
// lies behind these is reached too.

import MobileIP
import TestSupport
import Wire

/// Who shares what with whom.
enum Parties {
    static let homeAgent = IPv4Address("192.0.2.1")!
    static let otherHomeAgent = IPv4Address("192.0.2.2")!
    static let home = IPv4Address("198.51.100.7")!
    static let otherHome = IPv4Address("198.51.100.8")!
    static let careOf = IPv4Address("203.0.113.9")!
    static let otherCareOf = IPv4Address("203.0.113.77")!
    static let visited = IPv4Address("10.1.0.1")!
    static let foreignAgent = IPv4Address("203.0.113.200")!
    static let homes = [home, otherHome, IPv4Address("198.51.100.66")!]
    static let name = NetworkAccessIdentifier("mn@home")!
    /// Where messages come from and go to, and what they name.
    static let addresses = [
        homeAgent, otherHomeAgent, home, otherHome, careOf, otherCareOf, visited, foreignAgent, .unspecified,
        IPv4Address(rawValue: .max), IPv4Address("127.0.0.1")!, IPv4Address("224.0.0.11")!, IPv4Address("10.9.9.9")!,
        IPv4Address("198.51.100.66")!,
    ]

    static func association(
        _ index: UInt32, _ key: UInt8, _ protection: ReplayProtection = .timestamps()
    ) -> SecurityAssociation {
        do throws(SecurityAssociationError) {
            return try SecurityAssociation(
                securityParameterIndex: index, key: Array(repeating: key, count: 16), replayProtection: protection)
        } catch { preconditionFailure("\(error)") }
    }

    /// Of foreign agent and home agent.
    static let foreign = association(300, 0x40)
    /// Of mobile node and foreign agent.
    static let visit = association(400, 0x70)
}

/// Makes messages.
struct MessageForge {
    var random: SeededGenerator
    private let seeds: MessageSeeds
    /// Of mobile node and home agent.
    let association: SecurityAssociation

    init(seed: UInt64, _ seeds: MessageSeeds, _ association: SecurityAssociation) {
        random = SeededGenerator(seed: seed)
        (self.seeds, self.association) = (seeds, association)
    }

    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[random.below(elements.count)] }

    mutating func chance(_ one: Int) -> Bool { random.below(one) == 0 }

    // MARK: Messages

    mutating func datagram(_ time: NetworkTime) -> [UInt8] { change(pick(seeds.datagrams), time) }

    /// A message as it is, or as it should not be.
    mutating func change(_ bytes: [UInt8], _ time: NetworkTime) -> [UInt8] {
        switch random.below(9) {
        case 0...2: return bytes
        case 3: return PacketMutation.mutate([bytes], using: &random)
        case 4: return PacketMutation.mutate(seeds.datagrams, using: &random)
        case 5: return sign(PacketMutation.mutate([unsigned(bytes)], using: &random), time)
        default:
            guard let datagram = try? MobileIPDatagram.parse(bytes) else { return sign(bytes, time) }
            var edited = edit(datagram)
            if chance(2) { editFixedPart(&edited) }
            return sign(edited, time)
        }
    }

    /// A good request of any node, by way of the foreign agent.
    mutating func visit(_ time: NetworkTime) -> [UInt8] {
        let isNamed = chance(4)
        let request = RegistrationRequest(
            flags: .reverseTunneling, lifetime: .init(seconds: pick([0, 60, 600, 600])),
            homeAddress: isNamed ? .unspecified : pick(Parties.homes), homeAgent: Parties.homeAgent,
            careOfAddress: Parties.foreignAgent, identification: time.rawValue &+ UInt64(random.below(1 << 20)),
            extensions: [isNamed ? .mobileNodeNAI(Parties.name) : .ipv6PrefixRequest(anyPrefixRequest())])
        return (try? association.sign(request, as: .mobileHome)) ?? []
    }

    /// The same as a foreign agent relays it that revokes registrations, as the one of the scene does not (RFC 3543), or
    /// its revocation.
    mutating func revocable(_ time: NetworkTime) -> [UInt8] {
        let bytes: [UInt8]?
        if chance(2) {
            let revocation = RegistrationRevocation(
                flags: pick([[], [], .inform, .homeAgent]), homeAddress: pick(Parties.homes),
                homeDomainAddress: Parties.homeAgent, foreignDomainAddress: Parties.foreignAgent,
                identifier: time.seconds &+ UInt32(random.below(8)))
            bytes = try? Parties.foreign.sign(revocation, as: .foreignHome)
        } else {
            let support = RevocationSupport(inform: chance(2), timestamp: time.seconds)
            bytes = try? Parties.foreign.sign(visit(time), adding: [.revocationSupport(support)], as: .foreignHome)
        }
        return chance(4) ? change(bytes ?? [], time) : bytes ?? []
    }

    /// An advertisement or a solicitation.
    mutating func discovery(_ given: [UInt8]?) -> [UInt8] {
        var bytes = PacketMutation.mutate(given.map { [$0] } ?? seeds.discovery, using: &random)
        guard bytes.count >= 4, !chance(8) else { return bytes }
        (bytes[2], bytes[3]) = (0, 0)
        let sum = ~PacketMutation.onesComplementSum(bytes[...])
        (bytes[2], bytes[3]) = (UInt8(sum >> 8), UInt8(sum & 0xFF))
        return bytes
    }

    /// What a node says of groups, in one of the ways of `PacketBuilder`.
    mutating func listener(_ builder: inout PacketBuilder) -> [UInt8] {
        let bytes = PacketMutation.mutate(seeds.listeners, using: &random)
        bytes.withUnsafeBytes { builder.load($0) }
        builder.random = random
        if !chance(8) { builder.mend(lengths: chance(2)) }
        return Array(builder.bytes)
    }

    // MARK: Authentication

    /// What stands before the first authentication; all where there is none.
    private func unsigned(_ bytes: [UInt8]) -> [UInt8] {
        guard let datagram = try? MobileIPDatagram.parse(bytes) else { return bytes }
        let first =
            switch datagram {
            case .registrationRequest(let received): received.authentications.first
            case .registrationReply(let received): received.authentications.first
            case .registrationRevocation(let received): received.authentications.first
            case .registrationRevocationAcknowledgment(let received): received.authentications.first
            }
        return first.map { Array(bytes[..<($0.coveredLength - 6)]) } ?? bytes
    }

    /// Appends the authentications that a message of its type has, mostly, with a time that is fresh.
    private mutating func sign(_ bytes: [UInt8], _ time: NetworkTime) -> [UInt8] {
        var bytes = bytes
        if bytes.count >= 24, bytes[0] == 1, !chance(4) {
            let fresh = time.rawValue &+ UInt64(random.below(1 << 20))
            for at in 0..<8 { bytes[16 + at] = UInt8(truncatingIfNeeded: fresh >> UInt64(56 - 8 * at)) }
        }
        if bytes.count >= 20, bytes[0] == 7, !chance(4) {
            for at in 0..<4 { bytes[16 + at] = UInt8(truncatingIfNeeded: time.seconds >> UInt32(24 - 8 * at)) }
        }
        let isRevocation = bytes.first == 7 || bytes.first == 15
        if !isRevocation || chance(4) { append(association, .mobileHome, to: &bytes) }
        if chance(8) { append(Parties.visit, .mobileForeign, to: &bytes) }
        if isRevocation || chance(4) { append(Parties.foreign, .foreignHome, to: &bytes) }
        return bytes
    }

    private mutating func append(
        _ association: SecurityAssociation, _ kind: AuthenticationExtension.Kind, to bytes: inout [UInt8]
    ) {
        let added = chance(4) ? (0...random.below(2)).map { _ in anyExtension() } : []
        bytes = (try? association.sign(bytes, adding: added, as: kind)) ?? bytes
    }

    // MARK: Extensions

    private mutating func edit(_ datagram: MobileIPDatagram) -> [UInt8] {
        switch datagram {
        case .registrationRequest(let received): edit(received.message)
        case .registrationReply(let received): edit(received.message)
        case .registrationRevocation(let received): edit(received.message)
        case .registrationRevocationAcknowledgment(let received): edit(received.message)
        }
    }

    /// Without its authentications, and with other extensions.
    private mutating func edit(_ message: some MobileIPMessage) -> [UInt8] {
        var message = message
        message.extensions.removeAll { if case .authentication = $0 { true } else { false } }
        for _ in 0..<random.below(4) {
            let count = message.extensions.count
            switch random.below(5) {
            case 0 where count > 0: message.extensions.remove(at: random.below(count))
            case 1 where count > 0: message.extensions.append(pick(message.extensions))
            case 2 where count > 1: message.extensions.swapAt(0, random.below(count))
            case 3 where chance(64):
                message.extensions += (0..<random.below(3000)).map { _ in .ipv6PrefixRequest(anyPrefixRequest()) }
            default: message.extensions.insert(anyExtension(), at: random.below(count + 1))
            }
        }
        return (try? message.write()) ?? []
    }

    private mutating func editFixedPart(_ bytes: inout [UInt8]) {
        guard bytes.count >= 16 else { return }
        switch random.below(3) {
        case 0:
            bytes[1] =
                chance(2) ? UInt8(truncatingIfNeeded: random.next()) : pick([0, 0x20, 0x22, 0x2A, 0x32, 0xA0, 0x01])
        case 1:
            let lifetime: UInt16 = pick([0, 1, 5, 60, 600, 1800, 36000, 0xFFFE, 0xFFFF])
            (bytes[2], bytes[3]) = (UInt8(lifetime >> 8), UInt8(lifetime & 0xFF))
        default:
            let address = pick(Parties.addresses).rawValue
            let start = 4 + 4 * random.below(3)
            for at in 0..<4 { bytes[start + at] = UInt8(truncatingIfNeeded: address >> UInt32(24 - 8 * at)) }
        }
    }

    private mutating func anyPrefixRequest() -> IPv6PrefixRequest { IPv6PrefixRequest(prefix: anyPrefix()) }

    private mutating func anyPrefix() -> IPv6HomePrefix {
        if chance(4) { return IPv6HomePrefix(linkLocal: IPv6Address(linkLocalOf: pick(Parties.addresses))) }
        // Few, so that those of one node often overlap another's.
        let high = 0x2001_0DB8_0001_0000 | UInt64(random.below(8)) << UInt64(random.below(12))
        return IPv6HomePrefix(
            length: chance(8) ? UInt8(truncatingIfNeeded: random.next()) : pick([48, 56, 60, 63, 64, 128]),
            address: IPv6Address(high: chance(8) ? random.next() : high, low: chance(8) ? random.next() : 0))
    }

    private mutating func anyNetwork() -> MobileNetworkPrefix {
        MobileNetworkPrefix(
            length: pick([0, 8, 16, 24, 32, 33, 255]), address: pick([IPv4Address("192.168.0.0")!] + Parties.addresses))
    }

    private mutating func anyBytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    private mutating func anyExtension() -> MobileIPExtension {
        switch random.below(16) {
        case 0...2: .ipv6PrefixRequest(anyPrefixRequest())
        case 3:
            .ipv6PrefixReply(
                IPv6PrefixReply(
                    code: IPv6PrefixReplyCode(rawValue: pick([0, 1, 2, 7, 8, 9, 255])), prefix: anyPrefix()))
        case 4: .ipv6TunnelingMode
        case 5:
            .udpTunnelRequest(
                UDPTunnelRequest(
                    force: chance(2), registrationThroughForeignAgentRequired: chance(4),
                    encapsulation: pick([0, 4, 47, 55, 41, 255])))
        case 6:
            .udpTunnelReply(
                UDPTunnelReply(
                    code: .init(rawValue: pick([0, 64, 1])), isForced: chance(2),
                    keepaliveInterval: pick([0, 1, 20, 0xFFFF])))
        case 7: .greKey(pick([0, 1, .max]))
        case 8: .mobileNodeNAI(chance(2) ? Parties.name : NetworkAccessIdentifier("other@home")!)
        case 9:
            .revocationSupport(
                RevocationSupport(inform: chance(2), timestamp: UInt32.random(in: 0 ... .max, using: &random)))
        case 10:
            .dynamicHomeAgent(
                DynamicHomeAgent(role: chance(2) ? .requested : .redirected, address: pick(Parties.addresses)))
        case 11: .challenge(Challenge(bytes: anyBytes(4))!)
        case 12: .mobileNetworkRequest(MobileNetworkRequest(prefix: anyNetwork()))
        case 13:
            .mobileNetworkAcknowledgment(
                MobileNetworkAcknowledgment(
                    mode: chance(2) ? .explicit : .implicit, code: .init(rawValue: pick([0, 1, 2, 3, 9])),
                    prefix: anyNetwork()))
        case 14: .encapsulatingDeliveryStyle
        default:
            .authentication(
                AuthenticationExtension(
                    kind: pick(AuthenticationExtension.Kind.allCases),
                    securityParameterIndex: pick([0, 256, 300, 400]),
                    authenticator: anyBytes(pick([0, 1, 16, 20]))))
        }
    }
}
