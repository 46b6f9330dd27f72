// The home agent (RFC 5944, 3.8, with RFC 5454 and what builds on both) as a state machine: an event and the time in,
// actions out. It has no sockets, clocks or files, and its random numbers are given to it.
//
//     datagram ─► parse ─► who is it ─► RegistrationCheck ─► decisions ─► AcceptedRegistration ─► actions
//                  │          │               │                 │
//                  └ malformed└ nodeUnknown   └ 131 132 133     └ 129 130 134 … 148
//
// An event costs the same however many nodes there are, but for those that name many, and for other pools. Nothing that comes from
// outside makes it hold more than one record a node, and the revocations that its limits allow.

import Wire

/// A home agent.
public struct HomeAgent: ~Copyable {
    var configuration: HomeAgentConfiguration
    /// By address.
    var foreignAgents: [IPv4Address: [SecurityAssociation]] = [:]
    var pools: HomeAddressPools
    var nodes = NodeTable()
    var owners: PrefixOwners
    /// Of bindings, by their nodes' numbers.
    var deadlines = DeadlineHeap()
    var revocations = PendingRevocations()
    /// Whether the forwarder is to be told of bindings.
    var isDataplaneThere = true
    var random: any RandomNumberGenerator

    /// Bindings at this moment.
    public internal(set) var bindingCount = 0

    /// What one deadline ends or sends at the most; the rest comes with the next, which is then at once.
    static let deadlineBatch = 256

    /// A home agent without nodes.
    /// - Parameter random: for nonces and GRE keys.
    public init(_ configuration: HomeAgentConfiguration, random: any RandomNumberGenerator) {
        precondition(configuration.limits.nodes <= NodeTable.largestLimit, "more nodes than have numbers")
        self.configuration = configuration
        self.random = random
        pools = HomeAddressPools(configuration.homeAddressPools)
        owners = PrefixOwners(capacity: configuration.limits.prefixes)
        takeForeignAgents()
        for address in configuration.addresses { pools.mark(address, taken: true) }
    }

    /// When it next has something to do by itself, in the nanoseconds of `Moment`; nil for never.
    public var nextDeadline: UInt64? {
        switch (deadlines.earliest, revocations.earliest) {
        case (let first?, let second?): min(first, second)
        case (let first, let second): first ?? second
        }
    }

    /// Takes an event.
    /// - Returns: what is to be done, in that order.
    public mutating func handle(_ event: HomeAgentEvent, at now: Moment) -> [HomeAgentAction] {
        var actions: [HomeAgentAction] = []
        switch event {
        case .datagram(let datagram): receive(datagram, now, &actions)
        case .deadline: handleDeadlines(now, &actions)
        case .nodesChanged(let put, let removed): changeNodes(put, removed, now, &actions)
        case .configurationChanged(let configuration): configure(configuration)
        case .revoked(let identity): revoke(identity, now, &actions)
        case .bindingRefused(let refusal): handleRefusal(refusal, now, &actions)
        case .delegated(let prefix, let identity): delegate(prefix, to: identity, now, &actions)
        case .delegationEnded(let prefix, let identity): endDelegation(prefix, to: identity, now, &actions)
        case .dataplaneLost: isDataplaneThere = false
        case .dataplaneReturned: isDataplaneThere = true
        case .restored(let records): restore(records, now, &actions)
        }
        return actions
    }

    /// Bindings for a resynchronization, some at a time. Between two calls events may be handled: a binding that is put
    /// meanwhile was in an action then.
    /// - Parameters:
    ///   - position: 0, or what the last call returned.
    ///   - limit: nodes that are looked at in this call; positive.
    /// - Returns: bindings, and where to go on; nil at the end.
    public func bindings(
        from position: Int, limit: Int, at now: Moment
    ) -> (bindings: [MobilityBinding], next: Int?) {
        let (states, next) = states(from: position, limit)
        return (states.compactMap { state in state?.binding.map { $0.forwarded(until: state!.expiry, now) } }, next)
    }

    /// Records as they are stored, some at a time in the same way: of nodes that have a binding, or have been heard of.
    public func records(
        from position: Int, limit: Int, at now: Moment
    ) -> (records: [StoredRegistration], next: Int?) {
        let (states, next) = states(from: position, limit)
        return (states.compactMap { $0.flatMap { $0.isWorthStoring ? $0.record(now) : nil } }, next)
    }

    private func states(from position: Int, _ limit: Int) -> (ArraySlice<NodeState?>, next: Int?) {
        precondition(position >= 0 && limit > 0, "a part of what there is")
        let start = min(position, nodes.states.count)
        let end = start + min(limit, nodes.states.count - start)
        return (nodes.states[start..<end], end < nodes.states.count ? end : nil)
    }

    private mutating func handleDeadlines(_ now: Moment, _ actions: inout [HomeAgentAction]) {
        for _ in 0..<Self.deadlineBatch {
            guard let number = deadlines.takeDue(at: now.nanoseconds) else { break }
            endBinding(number, .expired, now, &actions)
        }
        for _ in 0..<Self.deadlineBatch {
            guard revocations.sendDue(now, configuration.revocation, &actions) else { break }
        }
    }

    private mutating func takeForeignAgents() {
        foreignAgents = Dictionary(
            configuration.foreignAgents.map { ($0.address, $0.associations) }, uniquingKeysWith: { $0 + $1 })
    }

    /// Limits of what is held for ever, of nodes and prefixes, stay as they were.
    private mutating func configure(_ new: HomeAgentConfiguration) {
        let poolsChange =
            new.homeAddressPools != configuration.homeAddressPools || new.addresses != configuration.addresses
        configuration = new
        takeForeignAgents()
        guard poolsChange else { return }
        pools = HomeAddressPools(new.homeAddressPools)
        for address in new.addresses { pools.mark(address, taken: true) }
        for state in nodes.states {
            if let address = state?.node.homeAddress ?? state?.binding?.homeAddress { pools.mark(address, taken: true) }
        }
    }
}
