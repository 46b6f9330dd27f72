// A multicast router with a few links, and the memberships that it has told of: as many as its limits allow, each once.

import MobileIP
import TestSupport
import Wire

final class ListenerSide {
    private static let limit = 20
    private var router: MulticastRouter
    private var memberships: Set<MulticastMembership> = []
    private(set) var outcomes: [MulticastOutcome: UInt64] = [:]

    init(seed: UInt64) throws(Finding) {
        var configuration = MulticastConfiguration()
        configuration.memberships = Self.limit
        router = MulticastRouter(configuration, random: SeededGenerator(seed: seed))
        try handle(.resynchronizationBegan, 0)
        try handle(.resynchronizationEnded, 0)
    }

    var nextDeadline: UInt64? { router.nextDeadline }

    static func link(_ forge: inout MessageForge) -> MulticastLink {
        var policy = MulticastPolicy()
        policy.maximumGroups = forge.pick([2, 32])
        if forge.chance(4) { policy.groups = [IPv6Prefix("ff3e::/16")!] }
        return MulticastLink(
            homeAddress: forge.pick([Parties.home, Parties.otherHome]), endpoint: Parties.homeAgent, policy: policy)
    }

    func handle(_ event: MulticastEvent, _ now: UInt64) throws(Finding) {
        // What is not bound any more takes its memberships with it, without a word.
        if case .linkRemoved(let homeAddress, isBound: false) = event {
            memberships = memberships.filter { $0.homeAddress != homeAddress }
        }
        for action in router.handle(event, at: now) {
            switch action {
            case .count(let outcome): outcomes[outcome, default: 0] += 1
            case .join(let membership):
                guard memberships.insert(membership).inserted else { throw Finding("a node joins a group twice") }
            case .leave(let membership):
                guard memberships.remove(membership) != nil else {
                    throw Finding("a node leaves a group that it is not in")
                }
            case .send(let packet, _):
                let isWhole = packet.withUnsafeBytes { bytes in
                    guard let view = try? IPv6View(bytes), let upper = try? view.upperLayer(),
                        let message = try? ICMPv6View(UnsafeRawBufferPointer(rebasing: bytes[upper.offset...]))
                    else { return false }
                    return view.hopLimit == 1 && message.verifies(source: view.source, destination: view.destination)
                }
                guard isWhole else { throw Finding("a query that is no whole packet") }
            }
        }
        guard router.membershipCount == memberships.count, memberships.count <= Self.limit else {
            throw Finding("\(router.membershipCount) memberships, and \(memberships.count) were told of")
        }
    }

    /// The forwarder does not take a membership that it was told of.
    func refuse(_ forge: inout MessageForge, _ now: UInt64) throws(Finding) {
        let ordered = memberships.sorted { ($0.group, $0.homeAddress.rawValue) < ($1.group, $1.homeAddress.rawValue) }
        guard !ordered.isEmpty else { return }
        let membership = forge.pick(ordered)
        memberships.remove(membership)
        try handle(.refused(membership), now)
    }
}
