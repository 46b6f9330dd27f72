// A mobile node as a state machine (RFC 5944, 3.6; RFC 5454, 3.5): events go in with the moment they happen at, actions
// come out. It has no socket, no clock and no chance of its own. At most one request is under way. Whatever happens sets
// `nextRequest`, the moment of the next one; each event ends with sending it if it is due, and with telling the
// differences between the network that should be and the one that was told before.
//
//     unattached ──► registering ◄──► waiting        rejected, or nobody answers
//         ▲              │  ▲
//         │              ▼  │ expired, revoked
//     no care-of      registered ──► renewal, movement, other prefixes: a request under an existing registration
//      address           │
//                        ▼
//                  deregistering ──► finished, or at home
//
// Bounds: one pending request, `maximumAgents` agents, `maximumInterfaces` that are solicited on, `maximumRepairs` repairs in a row, as many replay states
// as home agents are configured and `maximumRedirections` more.

import Wire

/// A mobile node.
public struct MobileNode: Sendable {
    /// What it was told before it began.
    public let configuration: MobileNodeConfiguration

    /// Foreign agents that are remembered; where there are more, that which will be forgotten first goes.
    public static let maximumAgents = 8
    /// Interfaces on which agents are looked for.
    public static let maximumInterfaces = 64
    /// Requests in a row that try to put right what a reply rejects; then it waits.
    public static let maximumRepairs = 8
    /// Home agents that redirected in a row (RFC 4433, 4.2).
    public static let maximumRedirections = 4
    /// Requests without an answer after which the next home agent is asked, if there is one.
    public static let transmissionsPerHomeAgent = 5
    /// Requests to end a registration, after which it is taken as ended.
    public static let deregistrationTransmissions = 3

    /// How often what is sent.
    enum Timing {
        /// Between two requests (RFC 5944, 3.6 and 3.6.3), unless the node has moved.
        static let betweenRequests: Duration = .seconds(1)
        /// Until a request is sent again, at the most.
        static let longestRetransmission: Duration = .seconds(120)
        /// Added to two round-trip times (RFC 5944, 3.6.3).
        static let processing: Duration = .milliseconds(100)
        /// After a rejection that can't be put right; doubled each time.
        static let firstWait: Duration = .seconds(10)
        static let longestWait: Duration = .seconds(600)
        /// Between two solicitations on an interface, at the least and at the most (RFC 5944, 2.4).
        static let betweenSolicitations: Duration = .seconds(1)
        static let longestSolicitation: Duration = .seconds(64)
        /// For which an advertisement is believed (RFC 1256, 6.2.1).
        static let longestAdvertisement: Duration = .seconds(9000)
        /// Between two log entries of the same kind of discarded message.
        static let betweenDiscardEntries: Duration = .seconds(10)
    }

    /// How the node is attached.
    enum Attachment: Hashable, Sendable {
        case coLocated(IPv4Address, interface: String)
        case foreignAgent(careOfAddress: IPv4Address, agent: AgentLocation)
        case home(interface: String)
    }

    /// What requests ask for, as far as replies have taught.
    struct Wishes: Hashable, Sendable {
        /// Which of the configured encapsulations.
        var encapsulation = 0
        var reverseTunneling: Bool
        var udpTunneling: Bool
        var lifetime: RegistrationLifetime
        /// Whether a home agent's address stands in the request where one is to be assigned.
        var namesHomeAgent = false
        /// That the home agent won't have.
        var refusedNetworks: Set<MobileNetworkPrefix> = []
        var leavesOutNetworks = false

        init(_ configuration: MobileNodeConfiguration) {
            reverseTunneling = configuration.reverseTunneling != .off
            udpTunneling = configuration.udpTunneling != .off
            lifetime = configuration.lifetime
        }
    }

    /// A request that waits for its reply.
    struct Pending: Hashable, Sendable {
        var request: RegistrationRequest
        var datagram: Datagram
        /// The agent that it was sent through; nil where it was sent to the home agent.
        var agent: AgentLocation?
        /// Of what was sent last.
        var sentAt: Duration
        var transmissions: Int
        var retransmissionInterval: Duration
        var retransmitAt: Duration { sentAt + retransmissionInterval }
    }

    /// A registration that was accepted.
    struct Registration: Hashable, Sendable {
        var tunnel: Tunnel
        var lifetime: RegistrationLifetime
        var attachment: Attachment
        /// By way of which it was made; nil where it went to the home agent.
        var agent: AgentLocation?
        /// The home agent's clock in its last revocation support extension (RFC 3543, 3.5).
        var revocationTimestamp: UInt32?
    }

    // Where the node is.
    var coLocated: (address: IPv4Address, interface: String)?
    var agents: [HeardAgent] = []
    /// By the interfaces on which agents can be heard.
    var solicitations: [String: Solicitation] = [:]
    var attachment: Attachment?
    var isStopping = false
    var isFinished = false
    /// Whether the home agent has been told that the node is at home.
    var isKnownAtHome = false

    // Whom it asks, and for what.
    var wishes: Wishes
    var homeAgentIndex = 0
    /// In place of the configured one: told by a reply.
    var toldHomeAgent: IPv4Address?
    var redirections: [IPv4Address] = []
    /// Home agents that were turned to since the last wait.
    var homeAgentChanges = 0
    var assignedHomeAddress: IPv4Address?
    var delegatedPrefixes: [IPv6Prefix] = []
    /// That has answered prefix requests, or has not.
    var supportsIPv6: Bool?
    var outcomes: [IPv6HomePrefix: MobileNodeStatus.PrefixOutcome] = [:]

    // What is under way.
    var replayStates: [IPv4Address: MobileNodeReplayState] = [:]
    var pending: Pending?
    var registration: Registration?
    /// When the next request is to be sent; nil where nothing is to be asked.
    var nextRequest: Duration?
    var lastRequestAt: Duration?
    var isWaiting = false
    var repairs = 0
    var wait = Timing.firstWait
    var roundTripTime: Duration?
    var lastCode: ReplyCode?
    /// Of the last revocation that was heard of (RFC 3543, 3.5).
    var lastRevocation: UInt32?
    var keepalive: Keepalive?
    /// The interval that was learned by losing mappings, at this attachment.
    var learnedKeepaliveInterval: Duration?

    // What was told.
    var network = Network()
    var reported: MobileNodeStatus?
    /// When the phase began that was told last.
    var phaseSince: Duration = .zero
    /// Why there is no registration from where the node is; nil since the last one that was accepted.
    var hindrance: (what: MobileNodeStatus.Hindrance, since: Duration)?
    var discards: [MobileNodeDiscard: (count: Int, loggedAt: Duration?)] = [:]
    var actions: [Action] = []

    /// A node that is nowhere yet.
    /// - Precondition: the configuration is valid.
    public init(_ configuration: MobileNodeConfiguration) {
        self.configuration = configuration
        wishes = Wishes(configuration)
    }

    /// Takes an event.
    /// - Returns: what is to be done, in this order.
    public mutating func handle(_ event: Event, at now: Moment) -> [Action] {
        guard !isFinished else { return [] }
        switch event {
        case .careOfAddressAvailable(let address, let interface):
            coLocated = (address, interface)
            chooseAttachment(at: now)
        case .careOfAddressGone(let address):
            if coLocated?.address == address { coLocated = nil }
            if case .coLocated(address, _) = attachment { hinder(.careOfAddressGone(address), at: now) }
            chooseAttachment(at: now)
        case .advertisementHeard(let advertisement, let location): hear(advertisement, from: location, at: now)
        case .interfaceAvailable(let interface): takeInterface(interface, at: now)
        case .interfaceGone(let interface): loseInterface(interface, at: now)
        case .datagramReceived(let bytes, let source, let port):
            receive(bytes, from: source, port: port, at: now)
        case .delegatedPrefixesChanged(let prefixes): takeDelegated(prefixes, at: now)
        case .keepaliveAnswered(let sequence): keepaliveAnswered(sequence, at: now)
        case .deadlineReached: break
        case .stopped: stop(at: now)
        }
        runTimers(at: now)
        tellNetwork()
        tellStatus(at: now)
        if isFinished { actions.append(.finish) }
        defer { actions = [] }
        return actions
    }

    /// When `deadlineReached` is to be told, on the clock of `Moment.elapsed`; nil where nothing waits.
    public var deadline: Duration? {
        guard !isFinished else { return nil }
        return [
            nextRequest, pending?.retransmitAt, registration?.tunnel.expiry, keepalive?.nextAt,
            agents.lazy.map(\.expiry).min(), agents.lazy.compactMap(\.refusedUntil).min(),
            solicitations.values.lazy.compactMap(\.nextAt).min(),
        ].lazy.compactMap { $0 }.min()
    }

    /// How many messages were discarded, for each reason that happened.
    public var discardCounts: [MobileNodeDiscard: Int] { discardTotals }
    var discardTotals: [MobileNodeDiscard: Int] = [:]

    private mutating func runTimers(at now: Moment) {
        forgetAgents(at: now)
        if let expiry = registration?.tunnel.expiry, expiry <= now.elapsed {
            registration = nil
            keepalive = nil
            actions.append(.log(.expired))
            // What kept it from being renewed is the reason, where that is known.
            if hindrance == nil { hinder(.expired, at: now) }
            supportsIPv6 = nil
            if pending == nil, nextRequest == nil { requestUpdate(at: now) }
        }
        runKeepalive(at: now)
        if let nextRequest, nextRequest <= now.elapsed {
            self.nextRequest = nil
            sendRequest(at: now)
        } else if let retransmitAt = pending?.retransmitAt, retransmitAt <= now.elapsed {
            retransmit(at: now)
        }
        solicit(at: now)
    }

    private mutating func stop(at now: Moment) {
        guard !isStopping else { return }
        isStopping = true
        (nextRequest, keepalive) = (nil, nil)
        // What a pending request would bind is to be ended too.
        let isBound = registration != nil || pending.map { !$0.request.isDeregistration } ?? false
        guard isBound, attachment != nil, homeAddress != nil else {
            actions.append(.log(registration == nil ? .nothingToDeregister : .notDeregistered(.noWay)))
            return finish()
        }
        pending = nil
        nextRequest = now.elapsed
    }

    mutating func finish() {
        (registration, pending, nextRequest, keepalive) = (nil, nil, nil, nil)
        isFinished = true
    }

    /// Asks for a request as soon as one may be sent.
    mutating func requestUpdate(at now: Moment) {
        guard attachment != nil, !isStopping else { return }
        let earliest = lastRequestAt.map { max($0 + Timing.betweenRequests, now.elapsed) } ?? now.elapsed
        nextRequest = min(nextRequest ?? earliest, earliest)
        isWaiting = false
    }

    /// Counts a message that is discarded, and logs it unless that was done for the like a short while ago.
    mutating func discard(_ reason: MobileNodeDiscard, _ detail: String = "", at now: Moment) {
        discardTotals[reason, default: 0] += 1
        var entry = discards[reason] ?? (0, nil)
        entry.count += 1
        if entry.loggedAt.map({ now.elapsed - $0 >= Timing.betweenDiscardEntries }) ?? true {
            actions.append(.log(.discarded(reason, detail: detail, count: entry.count)))
            entry = (0, now.elapsed)
        }
        discards[reason] = entry
    }
}

extension MobileNode {
    /// The configured home address, or the one that was assigned.
    public var homeAddress: IPv4Address? { configuration.homeAddress ?? assignedHomeAddress }

    /// Which home agent the next request is for; nil where a foreign agent is to choose.
    var homeAgent: IPv4Address? {
        toldHomeAgent ?? (configuration.homeAgents.isEmpty ? nil : configuration.homeAgents[homeAgentIndex])
    }

    /// Whether a home agent is to be assigned, and was not yet (RFC 4433).
    var assignsHomeAgent: Bool { configuration.assignsHomeAgent && assignedHomeAddress == nil }
}
