// Agent solicitations (RFC 5944, 2.4): while the node looks for an agent, on each interface three a second apart, after a
// random time of up to a second (RFC 1256, 5.3), then twice as far apart each time, up to `Timing.longestSolicitation`. The
// rate rises again only where the interface is a new link, or once an agent was registered with.

extension MobileNode {
    /// Solicitations on one interface.
    struct Solicitation: Hashable, Sendable {
        /// When the next is due; nil while no agent is looked for.
        var nextAt: Duration?
        /// None before that, however often the search begins anew.
        var notBefore: Duration = .zero
        /// Until the one after the next.
        var interval = Timing.betweenSolicitations
        /// Since the rate was the highest.
        var count = 0

        /// That come at the highest rate.
        static let initialCount = 3
    }

    mutating func takeInterface(_ interface: String, at now: Moment) {
        guard solicitations[interface] != nil || solicitations.count < Self.maximumInterfaces else {
            return discard(.interfaceNotHeard, "It is \(interface).", at: now)
        }
        solicitations[interface] = Solicitation()
    }

    mutating func loseInterface(_ interface: String, at now: Moment) {
        solicitations[interface] = nil
        forgetAgents(on: interface, at: now)
    }

    /// RFC 5944, 2.4: not where a care-of address is known by other means.
    private var looksForAgent: Bool {
        guard !isStopping, configuration.foreignAgents != .off else { return false }
        switch attachment {
        case nil: return true
        case .coLocated: return configuration.foreignAgents == .preferred
        case .foreignAgent, .home: return false
        }
    }

    mutating func solicit(at now: Moment) {
        let looksForAgent = looksForAgent
        for (index, interface) in solicitations.keys.sorted().enumerated() {
            guard var solicitation = solicitations[interface] else { continue }
            defer { solicitations[interface] = solicitation }
            guard looksForAgent else {
                solicitation.nextAt = nil
                continue
            }
            // Of one random number, another part for each interface.
            let chance = Int64((now.random &+ UInt32(index) &* 0x9E37_79B9) >> 22)
            let nextAt = solicitation.nextAt ?? max(now.elapsed + .milliseconds(chance), solicitation.notBefore)
            solicitation.nextAt = nextAt
            guard nextAt <= now.elapsed else { continue }
            actions.append(.solicit(interface: interface))
            solicitation.count += 1
            if solicitation.count >= Solicitation.initialCount {
                solicitation.interval = min(solicitation.interval * 2, Timing.longestSolicitation)
            }
            // Longer by a quarter at the most.
            let next = now.elapsed + solicitation.interval + solicitation.interval / 4096 * Int(chance)
            (solicitation.nextAt, solicitation.notBefore) = (next, next)
        }
    }

    /// An agent was found and has answered: the next search begins at the highest rate.
    mutating func resetSolicitations() {
        for interface in solicitations.keys {
            solicitations[interface] = Solicitation(notBefore: solicitations[interface]?.notBefore ?? .zero)
        }
    }
}
