// Where a mobile node is: at home, at a co-located care-of address, or with a foreign agent (RFC 5944, 2.4). Its own
// care-of address is preferred to an agent's. An agent is kept while it is heard (3.6: no new attempt because another one
// appears), is registered with again when it has restarted (2.4.4), and is left when its advertisement's lifetime has
// passed (2.4.2.1).

import Wire

extension MobileNode {
    /// A foreign agent whose advertisement is still valid.
    struct HeardAgent: Hashable, Sendable {
        var address: IPv4Address
        var interface: String
        var advertisement: AgentAdvertisement
        /// When the advertisement's lifetime has passed.
        var expiry: Duration
        /// Until then it is not asked.
        var refusedUntil: Duration?
        /// How long it is not asked when it refuses the next time.
        var wait = Timing.firstWait
        var isHome: Bool

        var isForeign: Bool { advertisement.flags.contains(.foreignAgent) && !advertisement.careOfAddresses.isEmpty }
        var requiresRegistration: Bool { advertisement.flags.contains(.registrationRequired) }

        var accepts: Bool { isForeign && !advertisement.flags.contains(.busy) && refusedUntil == nil }
    }

    mutating func hear(
        _ advertisement: AgentAdvertisement, from source: IPv4Address, on interface: String, at now: Moment
    ) {
        let isHome =
            advertisement.flags.contains(.homeAgent)
            && (configuration.homeAgents + [toldHomeAgent].compactMap { $0 }).contains(source)
        var agent = HeardAgent(
            address: source, interface: interface, advertisement: advertisement,
            expiry: now.elapsed + .seconds(advertisement.lifetime), isHome: isHome)
        let known = agents.firstIndex { $0.address == source && $0.interface == interface }
        let before = known.map { agents.remove(at: $0) }
        guard isHome || agent.isForeign, advertisement.lifetime > 0 else { return chooseAttachment(at: now) }
        if let before { (agent.refusedUntil, agent.wait) = (before.refusedUntil, before.wait) }
        if agents.count == Self.maximumAgents,
            let soonest = agents.indices.min(by: { agents[$0].expiry < agents[$1].expiry })
        {
            agents.remove(at: soonest)
        }
        agents.append(agent)
        chooseAttachment(at: now)
        if let before, isInUse(agent), hasRestarted(before.advertisement, advertisement) { requestUpdate(at: now) }
    }

    /// Forgets agents that are not heard any more, and that they have refused where that is long ago.
    mutating func forgetAgents(at now: Moment) {
        let count = agents.count
        agents.removeAll { $0.expiry <= now.elapsed }
        var isChanged = agents.count != count
        for index in agents.indices {
            guard let refusedUntil = agents[index].refusedUntil, refusedUntil <= now.elapsed else { continue }
            agents[index].refusedUntil = nil
            isChanged = true
        }
        if isChanged { chooseAttachment(at: now) }
    }

    private func hasRestarted(_ before: AgentAdvertisement, _ now: AgentAdvertisement) -> Bool {
        now.sequenceNumber < before.sequenceNumber && now.sequenceNumber < 256
    }

    private func isInUse(_ agent: HeardAgent) -> Bool { agentInUse?.address == agent.address }

    /// The agent that requests are sent through; nil where they go to the home agent.
    var agentInUse: HeardAgent? {
        switch attachment {
        case .foreignAgent(_, let address, let interface):
            agents.first { $0.address == address && $0.interface == interface }
        case .coLocated(_, let interface):
            // RFC 5944, 2.1.1: the R bit.
            agents.first { $0.interface == interface && $0.isForeign && $0.requiresRegistration }
        case .home, nil: nil
        }
    }

    /// Sees where the node is now, and registers where that has changed.
    mutating func chooseAttachment(at now: Moment) {
        let chosen = bestAttachment
        guard chosen != attachment, !isStopping else { return }
        attachment = chosen
        wishes = Wishes(configuration)
        (repairs, wait, isWaiting) = (0, Timing.firstWait, false)
        (roundTripTime, learnedKeepaliveInterval, keepalive) = (nil, nil, nil)
        (pending, nextRequest) = (nil, nil)
        isKnownAtHome = false
        // Moving is what registrations are for: no second is waited (RFC 5944, 3.6).
        if chosen != nil { nextRequest = now.elapsed }
    }

    private var bestAttachment: Attachment? {
        if let home = agents.first(where: \.isHome) { return .home(interface: home.interface) }
        if let coLocated {
            if coLocated.address == homeAddress { return .home(interface: coLocated.interface) }
            return .coLocated(coLocated.address, interface: coLocated.interface)
        }
        if case .foreignAgent(let careOfAddress, _, _) = attachment, let agent = agentInUse,
            agent.advertisement.careOfAddresses.contains(careOfAddress),
            agent.refusedUntil == nil
        {
            return attachment
        }
        guard let agent = agents.first(where: \.accepts) else { return nil }
        return .foreignAgent(
            careOfAddress: agent.advertisement.careOfAddresses[0], agent: agent.address, interface: agent.interface)
    }

    /// The node's own care-of address, or its agent's; nil where it needs none.
    var careOfAddress: IPv4Address? {
        switch attachment {
        case .coLocated(let address, _), .foreignAgent(let address, _, _): address
        case .home, nil: nil
        }
    }

    var isCoLocated: Bool { if case .coLocated = attachment { true } else { false } }
    var isAtHome: Bool { if case .home = attachment { true } else { false } }

    var interface: String? {
        switch attachment {
        case .coLocated(_, let interface), .foreignAgent(_, _, let interface), .home(let interface): interface
        case nil: nil
        }
    }
}
