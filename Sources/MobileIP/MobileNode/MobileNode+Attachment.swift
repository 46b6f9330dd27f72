// Where a mobile node is: at home, at a co-located care-of address, or with a foreign agent (RFC 5944, 2.4). Which of the
// last two is preferred says the configuration. An agent is kept while it is heard (3.6: no new attempt because another one
// appears), is registered with again when it has restarted (2.4.4), and is left when its advertisement's lifetime has
// passed (2.4.2.1), or when it does not answer. Nobody signs advertisements: what one says concerns only the agent at the
// link-layer address that it came from, so that a false one can add an agent, and not change or end another.

import Wire

extension MobileNode {
    /// Where an agent is: its address, and where frames to it go, both as they stood in its advertisement (RFC 5944,
    /// 3.6.1.1).
    public struct AgentLocation: Hashable, Sendable {
        /// The source of its advertisements.
        public var address: IPv4Address
        /// The source of their frames.
        public var linkLayerAddress: LinkLayerAddress
        /// By which they came.
        public var interface: String

        /// An agent's addresses.
        public init(address: IPv4Address, linkLayerAddress: LinkLayerAddress, interface: String) {
            self.address = address
            self.linkLayerAddress = linkLayerAddress
            self.interface = interface
        }
    }

    /// An agent whose advertisement is still valid.
    struct HeardAgent: Hashable, Sendable {
        var location: AgentLocation
        var advertisement: AgentAdvertisement
        /// The first of its care-of addresses that can be one; nil where it is no foreign agent.
        var careOfAddress: IPv4Address?
        /// When the advertisement's lifetime has passed.
        var expiry: Duration
        /// Until then it is not asked.
        var refusedUntil: Duration?
        /// How long it is not asked when it refuses the next time.
        var wait = Timing.firstWait
        var isHome: Bool

        var requiresRegistration: Bool { advertisement.flags.contains(.registrationRequired) }
        var isBusy: Bool { advertisement.flags.contains(.busy) }
    }

    mutating func hear(_ advertisement: AgentAdvertisement, from location: AgentLocation, at now: Moment) {
        guard configuration.foreignAgents != .off else { return }
        let origin = "It came from \(location.address) at \(location.linkLayerAddress) on \(location.interface)."
        let known = agents.firstIndex { $0.location == location }
        guard advertisement.lifetime > 0 else {
            guard let known else { return discard(.agentUnknown, origin, at: now) }
            loseAgents(at: now) { $0.remove(at: known) }
            return
        }
        let isHome = advertisement.flags.contains(.homeAgent) && isHomeAgent(location.address)
        let careOfAddress = careOfAddress(of: advertisement)
        guard isHome || careOfAddress != nil else {
            if let known { loseAgents(at: now) { $0.remove(at: known) } }
            return discard(.agentUnusable, origin, at: now)
        }
        let lifetime = min(.seconds(advertisement.lifetime), Timing.longestAdvertisement)
        var agent = HeardAgent(
            location: location, advertisement: advertisement, careOfAddress: careOfAddress,
            expiry: now.elapsed + lifetime, isHome: isHome)
        let before = known.map { agents[$0] }
        if let known, let before {
            (agent.refusedUntil, agent.wait) = (before.refusedUntil, before.wait)
            agents[known] = agent
        } else {
            makeRoomForAgent(origin, at: now)
            agents.append(agent)
        }
        chooseAttachment(at: now)
        guard agentInUse?.location == location else { return }
        let isRestart = before.map { hasRestarted($0.advertisement, advertisement) } ?? false
        // RFC 5944, 2.4.1: who is registered with his own address and hears R registers again, by way of the agent.
        if isRestart || (registration != nil && registration?.agent != location && isCoLocated && pending == nil) {
            requestUpdate(at: now)
        }
    }

    private func isHomeAgent(_ address: IPv4Address) -> Bool {
        configuration.homeAgents.contains(address) || toldHomeAgent == address
    }

    private func careOfAddress(of advertisement: AgentAdvertisement) -> IPv4Address? {
        guard advertisement.flags.contains(.foreignAgent) else { return nil }
        return advertisement.careOfAddresses.first {
            $0.isUnicastSource && $0 != homeAddress && !isHomeAgent($0)
        }
    }

    /// The one that will be forgotten first goes, but not the one that is in use: whoever fills the table drives out
    /// nobody that the node relies on.
    private mutating func makeRoomForAgent(_ origin: String, at now: Moment) {
        guard agents.count == Self.maximumAgents else { return }
        let inUse = agentInUse?.location
        let others = agents.indices.filter { agents[$0].location != inUse && !agents[$0].isHome }
        // There may be as many home agents as the table holds; then one of them goes.
        let place = others.min { agents[$0].expiry < agents[$1].expiry } ?? agents.startIndex
        agents.remove(at: place)
        discard(.agentForgotten, origin, at: now)
    }

    /// Forgets agents that are not heard any more, and that they have refused where that is long ago.
    mutating func forgetAgents(at now: Moment) {
        if agents.contains(where: { $0.expiry <= now.elapsed }) {
            loseAgents(at: now) { $0.removeAll { $0.expiry <= now.elapsed } }
        }
        var isChanged = false
        for index in agents.indices {
            guard let refusedUntil = agents[index].refusedUntil, refusedUntil <= now.elapsed else { continue }
            agents[index].refusedUntil = nil
            isChanged = true
        }
        if isChanged { chooseAttachment(at: now) }
    }

    /// Nothing is heard on that interface any more.
    mutating func forgetAgents(on interface: String, at now: Moment) {
        loseAgents(at: now) { $0.removeAll { $0.location.interface == interface } }
    }

    /// Forgets agents that are not there any more, and sees where the node is without them.
    private mutating func loseAgents(at now: Moment, _ forget: (inout [HeardAgent]) -> Void) {
        forget(&agents)
        if case .foreignAgent(_, let agent) = attachment, !agents.contains(where: { $0.location == agent }) {
            hinder(.agentLost(agent.address), at: now)
        }
        chooseAttachment(at: now)
    }

    private func hasRestarted(_ before: AgentAdvertisement, _ now: AgentAdvertisement) -> Bool {
        now.sequenceNumber < before.sequenceNumber && now.sequenceNumber < 256
    }

    /// The agent that requests are sent through; nil where they go to the home agent.
    var agentInUse: HeardAgent? {
        switch attachment {
        case .foreignAgent(_, let location): agents.first { $0.location == location }
        case .coLocated(_, let interface):
            // RFC 5944, 2.1.1: the R bit.
            agents.first {
                $0.location.interface == interface && $0.careOfAddress != nil && $0.requiresRegistration
                    && $0.refusedUntil == nil
            }
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
        if let home = agents.first(where: \.isHome) { return .home(interface: home.location.interface) }
        let own = coLocated.map { coLocated -> Attachment in
            coLocated.address == homeAddress
                ? .home(interface: coLocated.interface)
                : .coLocated(coLocated.address, interface: coLocated.interface)
        }
        if let own, configuration.foreignAgents != .preferred { return own }
        if case .home = own { return own }
        if case .foreignAgent(let careOfAddress, _) = attachment, let agent = agentInUse,
            agent.careOfAddress == careOfAddress, agent.refusedUntil == nil
        {
            return attachment
        }
        for agent in agents where accepts(agent) {
            guard let careOfAddress = agent.careOfAddress else { continue }
            return .foreignAgent(careOfAddress: careOfAddress, agent: agent.location)
        }
        return own
    }

    /// Whether the node may turn to that agent, and has a use for it.
    private func accepts(_ agent: HeardAgent) -> Bool {
        agent.careOfAddress != nil && !agent.isBusy && agent.refusedUntil == nil
            && (configuration.reverseTunneling != .required || agent.advertisement.flags.contains(.reverseTunneling))
    }

    /// Asks that agent no more for a while, which is longer each time, and turns to whatever else there is.
    mutating func leaveAgent(_ agent: HeardAgent, at now: Moment) {
        guard let index = agents.firstIndex(where: { $0.location == agent.location }) else { return }
        agents[index].refusedUntil = now.elapsed + agent.wait
        agents[index].wait = min(agent.wait * 2, Timing.longestWait)
        chooseAttachment(at: now)
    }

    /// The node's own care-of address, or its agent's; nil where it needs none.
    var careOfAddress: IPv4Address? {
        switch attachment {
        case .coLocated(let address, _), .foreignAgent(let address, _): address
        case .home, nil: nil
        }
    }

    var isCoLocated: Bool { if case .coLocated = attachment { true } else { false } }
    var isAtHome: Bool { if case .home = attachment { true } else { false } }

    var interface: String? {
        switch attachment {
        case .coLocated(_, let interface), .home(let interface): interface
        case .foreignAgent(_, let agent): agent.interface
        case nil: nil
        }
    }

    /// Agents that are heard now, in the order in which they were heard first.
    public var heardAgents: [MobileNodeStatus.Agent] {
        agents.map { agent in
            MobileNodeStatus.Agent(
                location: agent.location, careOfAddress: agent.careOfAddress, flags: agent.advertisement.flags,
                registrationLifetime: agent.advertisement.registrationLifetime, expiry: agent.expiry,
                refusedUntil: agent.refusedUntil, isInUse: agentInUse?.location == agent.location)
        }
    }
}
