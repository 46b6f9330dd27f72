// The Agent Advertisement (RFC 5944, 2.1): an ICMP Router Advertisement (RFC 1256, 3) with a mobility agent's
// extension, sent with TTL 1. U says that the agent tunnels in UDP (RFC 3519, 3.4), X that it revokes (RFC 3543, 3.1),
// I that it registers regionally.
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +---------------+---------------+-------------------------------+
//     |    Type, 9    |     Code      |           Checksum            |
//     +---------------+---------------+-------------------------------+
//     |   Num Addrs   |Addr Entry Size|           Lifetime            |
//     +---------------+---------------+-------------------------------+
//     |              Router Address, Preference Level … each          |
//     +---------------+---------------+-------------------------------+
//     |   Type, 16    |    Length     |        Sequence Number        |
//     +---------------+---------------+-+-+-+-+-+-+-+-+-+-+-+---------+
//     |     Registration Lifetime     |R|B|H|F|M|G|r|T|U|X|I|reserved |
//     +-------------------------------+-+-+-+-+-+-+-+-+-+-+-+---------+
//     |                    Care-of Address … each                     |
//     +---------------------------------------------------------------+
//     |  Extensions: 19 Prefix-Lengths, 24 Challenge, 0 padding …

import Wire

/// An advertisement of a mobility agent.
public struct AgentAdvertisement: Hashable, Sendable {
    /// A router address (RFC 1256, 3).
    public struct Router: Hashable, Sendable {
        /// On the link.
        public var address: IPv4Address
        /// The higher, the more it is to be preferred.
        public var preference: Int32

        /// An address and how much it is to be preferred.
        public init(address: IPv4Address, preference: Int32) {
            self.address = address
            self.preference = preference
        }
    }

    /// What the agent offers.
    public struct Flags: OptionSet, Hashable, Sendable {
        /// As it stands in a message.
        public let rawValue: UInt16
        /// From what stands in a message.
        public init(rawValue: UInt16) { self.rawValue = rawValue }

        /// R: registration with an agent of this link is required.
        public static let registrationRequired = Flags(rawValue: 0x8000)
        /// B: no more mobile nodes are taken.
        public static let busy = Flags(rawValue: 0x4000)
        /// H: it is a home agent on this link.
        public static let homeAgent = Flags(rawValue: 0x2000)
        /// F: it is a foreign agent on this link.
        public static let foreignAgent = Flags(rawValue: 0x1000)
        /// M: it takes minimal encapsulation.
        public static let minimalEncapsulation = Flags(rawValue: 0x0800)
        /// G: it takes GRE.
        public static let greEncapsulation = Flags(rawValue: 0x0400)
        /// T: it has a reverse tunnel.
        public static let reverseTunneling = Flags(rawValue: 0x0100)
        /// U: it tunnels in UDP.
        public static let udpTunneling = Flags(rawValue: 0x0080)
        /// X: it revokes registrations.
        public static let registrationRevocation = Flags(rawValue: 0x0040)
        /// I: it registers regionally.
        public static let regionalRegistration = Flags(rawValue: 0x0020)

        /// All that have a meaning.
        public static let all: Flags = [
            .registrationRequired, .busy, .homeAgent, .foreignAgent, .minimalEncapsulation, .greEncapsulation,
            .reverseTunneling, .udpTunneling, .registrationRevocation, .regionalRegistration,
        ]
    }

    /// Of ICMP.
    public static let type: UInt8 = 9
    /// The code of an agent that does not route what is no mobile node's.
    static let mobileOnlyCode: UInt8 = 16
    static let mobilityAgentType: UInt8 = 16
    static let prefixLengthsType: UInt8 = 19
    /// Care-of addresses that the extension's length can count.
    public static let maximumCareOfAddresses = 62
    /// Router addresses that can be counted.
    public static let maximumRouters = 255

    /// Whether the agent is a router for others than mobile nodes: code 0, else 16.
    public var routesCommonTraffic: Bool
    /// How long the advertisement is valid, in seconds.
    public var lifetime: UInt16
    /// `maximumRouters` at the most.
    public var routers: [Router]
    /// Counts the agent's advertisements; 0 to 255 only after a restart.
    public var sequenceNumber: UInt16
    /// The longest that the agent grants.
    public var registrationLifetime: RegistrationLifetime
    /// What it offers.
    public var flags: Flags
    /// A foreign agent's, `maximumCareOfAddresses` at the most.
    public var careOfAddresses: [IPv4Address]
    /// Of the router addresses, in their order; nil where the extension is missing.
    public var prefixLengths: [UInt8]?
    /// Nil where the extension is missing.
    public var challenge: Challenge?

    /// An advertisement of these; by default of a router, valid for half an hour.
    public init(
        routesCommonTraffic: Bool = true, lifetime: UInt16 = 1800, routers: [Router] = [], sequenceNumber: UInt16,
        registrationLifetime: RegistrationLifetime, flags: Flags, careOfAddresses: [IPv4Address] = [],
        prefixLengths: [UInt8]? = nil, challenge: Challenge? = nil
    ) {
        self.routesCommonTraffic = routesCommonTraffic
        self.lifetime = lifetime
        self.routers = routers
        self.sequenceNumber = sequenceNumber
        self.registrationLifetime = registrationLifetime
        self.flags = flags
        self.careOfAddresses = careOfAddresses
        self.prefixLengths = prefixLengths
        self.challenge = challenge
    }
}

/// An advertisement that came.
public struct ReceivedAgentAdvertisement: Hashable, Sendable {
    /// What it says.
    public let advertisement: AgentAdvertisement
    /// Extensions that were not understood and may be skipped.
    public let skipped: SkippedExtensions
}
