// A foreign agent (RFC 5944, 2.3 and 3.7, with RFC 3024 and RFC 2794): an event and the time in,
// actions out. It has no sockets and no clock, and its random numbers are given to it.
//
//     request ─► parse ─► RequestCheck ─► pending ─► relay            what the node's authentication covers, byte for
//                  │           └ 64 … 99, 194                         byte, and the agent's own authentication
//                  └ malformed
//     reply   ─► parse ─► pending? ─► authentication ─► visitor ─► answer      likewise
//                  │         │            └ 68
//                  └ malformed└ discarded
//
// Nothing that comes from outside makes it hold more than its limits allow.

import Wire

/// A foreign agent.
public struct ForeignAgentStateMachine: ~Copyable {
    let configuration: ForeignAgentConfiguration
    let nodes: [NodeIdentity: [SecurityAssociation]]
    let homeAgents: [IPv4Address: [SecurityAssociation]]
    var pending = PendingRequests()
    var visitors = VisitorList()
    var denials = DenialLimit()
    var advertiser: Advertiser

    /// For how long a request waits for a reply, in nanoseconds (RFC 5944, 3.7.1).
    static let patience: UInt64 = 7_000_000_000
    /// What one deadline ends at the most; the rest comes with the next, which is then at once.
    static let deadlineBatch = 256

    /// A foreign agent without visitors. Its first advertisement is due at once.
    /// - Parameter random: for the times of advertisements.
    public init(_ configuration: ForeignAgentConfiguration, random: any RandomNumberGenerator) {
        precondition(configuration.advertisementInterval.map { (4...1800).contains($0) } ?? true, "RFC 1256, 6.2.1")
        self.configuration = configuration
        nodes = Dictionary(
            configuration.nodes.map { ($0.identity, $0.associations) }, uniquingKeysWith: { $0 + $1 })
        homeAgents = Dictionary(
            configuration.homeAgents.map { ($0.address, $0.associations) }, uniquingKeysWith: { $0 + $1 })
        advertiser = Advertiser(interval: configuration.advertisementInterval, random: random)
    }

    /// Visitors at this moment.
    public var visitorCount: Int { visitors.count }

    /// When it next has something to do by itself, in the nanoseconds of `Moment`; nil for never.
    public var nextDeadline: UInt64? {
        [pending.earliest, visitors.earliest, advertiser.deadline].compactMap { $0 }.min()
    }

    /// Takes an event.
    /// - Returns: what is to be done, in that order.
    public mutating func handle(_ event: ForeignAgentEvent, at now: Moment) -> [ForeignAgentAction] {
        var actions: [ForeignAgentAction] = []
        switch event {
        case .request(let datagram): receiveRequest(datagram, now, &actions)
        case .reply(let datagram): receiveReply(datagram, now, &actions)
        case .solicitation(let source): answer(source, now, &actions)
        case .unreachable(let error): giveUp(error, now, &actions)
        case .deadline: handleDeadlines(now, &actions)
        }
        return actions
    }

    /// Requests are given up without a word where their lifetime has passed, since no reply may be made for that
    /// (RFC 5944, 3.7).
    private mutating func handleDeadlines(_ now: Moment, _ actions: inout [ForeignAgentAction]) {
        for _ in 0..<Self.deadlineBatch {
            guard let request = pending.takeDue(at: now.nanoseconds) else { break }
            if request.isOutlived {
                actions.append(.count(.discarded(.requestOutlived)))
            } else {
                deny(request, .foreignRegistrationTimeout, now, &actions)
            }
        }
        for _ in 0..<Self.deadlineBatch {
            guard let visitor = visitors.takeDue(at: now.nanoseconds) else { break }
            actions.append(.removeVisitor(homeAddress: visitor.homeAddress))
            actions.append(.count(.visitorEnded(.expired)))
        }
        if advertiser.takeDue(at: now.nanoseconds) { advertise(to: .allNodes, &actions) }
    }

    // MARK: - Discovery

    /// Who asks is answered, at once and alone; without an address all are (RFC 1256, 4.1).
    private mutating func answer(
        _ source: VisitingSource, _ now: Moment, _ actions: inout [ForeignAgentAction]
    ) {
        guard advertiser.admits(at: now.nanoseconds, limit: configuration.limits.advertisementsPerSecond) else {
            actions.append(.count(.discarded(.advertisementLimit)))
            return
        }
        advertise(to: source.address.isUnicastSource ? .node(source) : .allNodes, &actions)
    }

    private mutating func advertise(
        to destination: AdvertisementDestination, _ actions: inout [ForeignAgentAction]
    ) {
        var flags = configuration.flags
        if visitors.count >= configuration.limits.visitors { flags.insert(.busy) }
        let advertisement = AgentAdvertisement(
            lifetime: advertiser.lifetime,
            routers: [AgentAdvertisement.Router(address: configuration.addresses[0], preference: 0)],
            sequenceNumber: advertiser.takeSequenceNumber(), registrationLifetime: configuration.maximumLifetime,
            flags: flags, careOfAddresses: configuration.careOfAddresses)
        actions.append(.advertise(advertisement.write(), to: destination))
        actions.append(.count(.advertised))
    }
}
