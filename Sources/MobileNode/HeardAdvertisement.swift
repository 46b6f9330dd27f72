// What a router advertisement must be like before it is read (RFC 5944, 2.1; RFC 1256, 5.2): from a neighbour, which its
// TTL says as far as a TTL can, to all of the link or to this host. Whatever is wrong is counted, and nothing else is done.

import MobileIP
import Wire

/// Why a router advertisement was not read.
enum AdvertisementDrop: CountedReason {
    case sourceInvalid
    case sourceOwn
    case linkLayerSourceInvalid
    case timeToLive
    case destinationOther
    case tooFast
    case tooManyWaiting

    var explanation: String {
        switch self {
        case .sourceInvalid: "The source can't be a host's address."
        case .sourceOwn: "The source is an address of this host."
        case .linkLayerSourceInvalid: "The frame comes from no station's address."
        case .timeToLive: "The TTL is not 1, as it is where the agent is on the link."
        case .destinationOther: "It is neither for all on the link nor for this host."
        case .tooFast: "More came on an interface than are looked at."
        case .tooManyWaiting: "More came than were taken."
        }
    }
}

/// A router advertisement that has come, not looked at yet.
struct HeardAdvertisement: Hashable, Sendable {
    private static let allSystems = IPv4Address(rawValue: 0xE000_0001)
    private static let everyone = IPv4Address(rawValue: .max)

    /// The ICMP message.
    var message: [UInt8]
    /// Who has sent it.
    var location: MobileNode.AgentLocation
    var destination: IPv4Address
    var timeToLive: UInt8

    /// What it says.
    enum Reading: Equatable {
        case agent(AgentAdvertisement)
        /// Nothing that is believed; the counter's name.
        case dropped(String)
    }

    /// - Parameter own: addresses of this host.
    func read(own: Set<IPv4Address>) -> Reading {
        if let drop = drop(own: own) { return .dropped(drop.name) }
        do throws(MobileIPError) {
            return .agent(try AgentAdvertisement.parse(message).advertisement)
        } catch {
            return .dropped(error.name)
        }
    }

    private func drop(own: Set<IPv4Address>) -> AdvertisementDrop? {
        guard location.address.isUnicastSource else { return .sourceInvalid }
        guard !own.contains(location.address) else { return .sourceOwn }
        // Ethernet's: six bytes, not those of a group, not nothing.
        let bytes = location.linkLayerAddress.bytes
        guard bytes.count == 6, bytes[0] & 1 == 0, bytes.contains(where: { $0 != 0 }) else {
            return .linkLayerSourceInvalid
        }
        guard timeToLive == 1 else { return .timeToLive }
        guard destination == Self.allSystems || destination == Self.everyone || own.contains(destination) else {
            return .destinationOther
        }
        return nil
    }
}

/// How many advertisements are looked at: `perSecond` in the long run, `atOnce` at a time.
struct AdvertisementRate {
    static let perSecond = 10
    static let atOnce = 20

    private var tokens = AdvertisementRate.atOnce
    private var refilledAt: ContinuousClock.Instant?

    /// Whether one more may be looked at.
    mutating func admits(at now: ContinuousClock.Instant) -> Bool {
        let (span, start) = (Duration.seconds(1) / Self.perSecond, refilledAt ?? now)
        let gained = Int(clamping: Int64(start.duration(to: now) / span))
        refilledAt = gained >= Self.atOnce ? now : start + span * gained
        tokens = min(tokens + gained, Self.atOnce)
        guard tokens > 0 else { return false }
        tokens -= 1
        return true
    }
}
