// Records of every shape that the home agent can make.

import MobileIP
import Wire

enum SampleRegistrations {
    static let now = Moment(timeOfDay: NetworkTime(secondsSince1970: 1_800_000_000), nanoseconds: 5_000_000_000)

    static let all: [StoredRegistration] = [replayAlone, simple, full, forEver]

    static let replayAlone = StoredRegistration(
        identity: .accessIdentifier(NetworkAccessIdentifier("mn@example.org")!),
        replay: HomeAgentReplayState(lastAccepted: .max, lastReply: 1 << 63, nonce: .max))

    static let simple = registration(of: IPv4Address("198.51.100.7")!)

    static let full: StoredRegistration = {
        var binding = AcceptedRegistration(
            homeAddress: IPv4Address("255.1.2.3")!, careOfAddress: IPv4Address("10.0.0.9")!,
            source: IPv4Address("203.0.113.200")!, identification: 0xFEDC_BA98_7654_3210,
            tunnel: MobilityTunnel(
                endpoint: IPv4Address("192.0.2.1")!, careOfAddress: IPv4Address("203.0.113.200")!,
                encapsulation: .gre(key: .max), udpPort: .max),
            reverseTunnel: true,
            prefixes: [
                RegisteredPrefix(IPv6Prefix("2001:db8::/32")!, usesCareOfAddress: true),
                RegisteredPrefix(IPv6Prefix("fe80::1/128")!, usesCareOfAddress: false, isImplicit: true),
            ],
            networks: [IPv4Prefix("192.168.0.0/16")!, IPv4Prefix("10.9.8.7/32")!])
        binding.revocation = AcceptedRegistration.Revocation(
            isForeignAgent: true, securityParameterIndex: .max, usesInformBit: true, theirTimestamp: 7,
            ourTimestamp: .max)
        return StoredRegistration(
            identity: .homeAddress(IPv4Address("255.1.2.3")!),
            replay: HomeAgentReplayState(lastAccepted: 5, lastReply: nil, nonce: nil),
            delegated: [IPv6Prefix("2001:db8:9::/48")!, IPv6Prefix("::/0")!], binding: binding,
            expiry: now.timeOfDay.advanced(byUnits: 600 << 32))
    }()

    static let forEver: StoredRegistration = {
        var record = registration(of: IPv4Address("198.51.100.8")!)
        record.binding?.tunnel.encapsulation = .minimal
        record.expiry = nil
        return record
    }()

    /// With a lifetime of ten minutes.
    static func registration(of homeAddress: IPv4Address) -> StoredRegistration {
        StoredRegistration(
            identity: .homeAddress(homeAddress), replay: HomeAgentReplayState(),
            binding: AcceptedRegistration(
                homeAddress: homeAddress, careOfAddress: IPv4Address("203.0.113.9")!,
                source: IPv4Address("203.0.113.9")!, identification: 1,
                tunnel: MobilityTunnel(
                    endpoint: IPv4Address("192.0.2.1")!, careOfAddress: IPv4Address("203.0.113.9")!)),
            expiry: now.timeOfDay.advanced(byUnits: 600 << 32))
    }
}
