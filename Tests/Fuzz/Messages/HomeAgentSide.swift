// A home agent, and what the forwarder, which now and then refuses, and the kernel were told by it. Whatever comes, that is what it holds, no two nodes
// have overlapping prefixes, it holds no more than its limits, and after a restart it holds the same.

import MobileIP
import TestSupport
import Wire

final class HomeAgentSide {
    private static let limits: HomeAgentLimits = {
        var limits = HomeAgentLimits()
        (limits.nodes, limits.bindings, limits.prefixes, limits.revocationsUnderWay) = (8, 3, 200, 2)
        return limits
    }()

    private let configuration: HomeAgentConfiguration
    private let nodes: [ServedNode]
    private var agent: HomeAgent
    private var bindings: [IPv4Address: MobilityBinding] = [:]
    private var routes: Set<HomeRoute> = []
    private var isForwarderThere = true
    private var random: SeededGenerator
    private(set) var outcomes: [HomeAgentOutcome: UInt64] = [:]

    init(_ association: SecurityAssociation, seed: UInt64) {
        var configuration = HomeAgentConfiguration(addresses: [Parties.homeAgent])
        configuration.broadcastAddresses = [IPv4Address("198.51.100.255")!]
        configuration.homeAddressPools = [IPv4Prefix("198.51.100.64/29")!]
        configuration.prefixPools = [PrefixPermission(within: IPv6Prefix("2001:db8:1::/48")!, lengths: 56...64)]
        configuration.foreignAgents = [ForeignAgent(address: Parties.foreignAgent, associations: [Parties.foreign])]
        configuration.limits = Self.limits
        var nodes = [
            ServedNode(homeAddress: Parties.home, associations: [association]),
            ServedNode(homeAddress: Parties.otherHome, associations: [association]),
            ServedNode(homeAddress: IPv4Address("198.51.100.66")!, associations: [association]),
            ServedNode(accessIdentifier: Parties.name, associations: [association]),
        ]
        for index in nodes.indices {
            nodes[index].policy.mayUsePrefixPools = true
            nodes[index].policy.maximumPrefixes = 80
            nodes[index].networks = [IPv4Prefix("192.168.0.0/16")!]
        }
        nodes[1].policy.reverseTunnel = .required
        nodes[1].implicitPrefixes = [IPv6Prefix("2001:db8:f::/64")!]
        nodes[2].policy.tunnelingModes = .homeAddress
        nodes[2].policy.simultaneousBindings = .refused
        nodes[2].policy.encapsulations = .udp
        nodes[3].implicitNetworks = [IPv4Prefix("192.168.7.0/24")!]
        (self.configuration, self.nodes) = (configuration, nodes)
        random = SeededGenerator(seed: seed ^ 1)
        agent = HomeAgent(configuration, random: SeededGenerator(seed: seed))
        _ = agent.handle(
            .nodesChanged(put: nodes, removed: []), at: Moment(timeOfDay: NetworkTime(rawValue: 0), nanoseconds: 0))
    }

    var nextDeadline: UInt64? { agent.nextDeadline }

    /// - Returns: what it sends.
    func handle(_ event: HomeAgentEvent, _ now: Moment) throws(Finding) -> [OutgoingDatagram] {
        let actions = agent.handle(event, at: now)
        switch event {
        case .dataplaneLost: isForwarderThere = false
        case .dataplaneReturned:
            isForwarderThere = true
            bindings = Dictionary(uniqueKeysWithValues: held(now).map { ($0.homeAddress, $0) })
        default: break
        }
        var sent: [OutgoingDatagram] = []
        var refusal: BindingRefusal?
        for action in actions {
            switch action {
            case .count(let outcome): outcomes[outcome, default: 0] += 1
            case .send(let datagram): sent.append(datagram)
            case .putBinding(let binding, let former) where isRefused(after: event):
                refusal = BindingRefusal(binding, former: former)
            default: try take(action)
            }
        }
        if var refusal {
            // Of what an accepted request comes to, the reply; a former foreign agent's revocation is sent all the same.
            refusal.replies = sent.filter { $0.payload.first == MobileIPMessageType.registrationReply.rawValue }
            sent.removeAll { refusal.replies.contains($0) }
            refused = refusal.binding.homeAddress
            sent += try handle(.bindingRefused(refusal), now)
            refused = nil
        }
        for datagram in sent {
            try ReaderCheck.checkSent(datagram.payload)
            guard configuration.addresses.contains(datagram.source) else {
                throw Finding("the home agent sends from \(datagram.source)")
            }
        }
        guard agent.bindingCount <= Self.limits.bindings else { throw Finding("more bindings than may be") }
        return sent
    }

    /// Now and then, of those that are put for a request, and seldom of those that are put back then.
    private func isRefused(after event: HomeAgentEvent) -> Bool {
        switch event {
        case .datagram, .bindingRefused: isForwarderThere && random.next() % 8 == 0
        default: false
        }
    }
    /// The home address whose binding was just refused: the forwarder may have none of it.
    private var refused: IPv4Address?

    private func take(_ action: HomeAgentAction) throws(Finding) {
        switch action {
        case .putBinding(let binding, _):
            guard isForwarderThere else { throw Finding("a binding is put while the forwarder is away") }
            bindings[binding.homeAddress] = binding
        case .removeBinding(let homeAddress):
            guard isForwarderThere else { throw Finding("a binding is removed while the forwarder is away") }
            guard bindings.removeValue(forKey: homeAddress) != nil || homeAddress == refused else {
                throw Finding("a binding is removed that is not there: \(homeAddress)")
            }
        case .addRoute(let route):
            guard routes.insert(route).inserted else { throw Finding("a route is added twice: \(route)") }
        case .removeRoute(let route):
            guard routes.remove(route) != nil else { throw Finding("a route is removed that is not there: \(route)") }
        default: break
        }
    }

    private func held(_ now: Moment) -> [MobilityBinding] {
        agent.bindings(from: 0, limit: Self.limits.nodes, at: now).bindings
    }

    /// Looks at all that it holds, which costs more than an event.
    func check(_ now: Moment) throws(Finding) {
        let held = held(now)
        guard held.count == agent.bindingCount else { throw Finding("bindings are miscounted") }
        guard Set(held.flatMap(\.routes)) == routes else { throw Finding("routes are not those of the bindings") }
        if isForwarderThere {
            guard held.count == bindings.count,
                held.allSatisfy({ bindings[$0.homeAddress]?.prefixes == $0.prefixes })
            else { throw Finding("the forwarder has other bindings than the home agent") }
        }
        var all: [(prefix: IPv6Prefix, homeAddress: IPv4Address)] = []
        for binding in held { all += binding.prefixes.map { ($0.prefix, binding.homeAddress) } }
        guard all.count + held.reduce(0, { $0 + $1.networks.count }) <= Self.limits.prefixes else {
            throw Finding("more prefixes than may be")
        }
        for (index, one) in all.enumerated() {
            for other in all[(index + 1)...]
            where one.homeAddress != other.homeAddress && one.prefix.overlaps(other.prefix) {
                throw Finding("\(one.prefix) overlaps \(other.prefix) of another node")
            }
        }
    }

    /// Has another one go on from its records.
    func restart(_ now: Moment, seed: UInt64) throws(Finding) {
        func timeless(_ bindings: [MobilityBinding]) -> Set<MobilityBinding> {
            Set(
                bindings.map {
                    var binding = $0
                    binding.lifetime = nil
                    return binding
                })
        }
        // What is due ends first, as it would have.
        let before = timeless(held(now))
        let records = agent.records(from: 0, limit: Self.limits.nodes, at: now).records
        agent = HomeAgent(configuration, random: SeededGenerator(seed: seed))
        (bindings, routes, isForwarderThere) = ([:], [], true)
        _ = try handle(.nodesChanged(put: nodes, removed: []), now)
        _ = try handle(.restored(records), now)
        guard timeless(held(now)) == before else { throw Finding("after a restart bindings are others") }
        try check(now)
    }
}
