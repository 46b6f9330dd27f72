// The multicast router of the links to the nodes (RFC 5454, 3.3.3; RFC 3775, 10.4.3), as a state machine: an event and the
// time in, actions out. Each node's tunnel is a link with one listener, on which this is the only router (RFC 3810, 7):
//
//     link       asks which groups there are: at once, as often as the robustness says a quarter of an interval apart,
//                then an interval apart, for as long as there is the binding
//     membership ── report ──► believed for the listening interval ── none ──► ended
//                ── leave ───► asked for as often as the robustness says, a second apart ── no report ──► ended
//
// Only groups are kept: a node that wants to hear some sources hears all, and has the rest discarded by its own kernel
// (RFC 3810, 4.2). Groups that do not leave a link (ff02::/16 and narrower) are not the router's. What version 2 says is
// heard after version 1, too, but for sources that are given up, which mean nothing then (8.3.2).
//
// While the forwarder is away nothing is asked and nothing ends, since nobody could answer.

import Wire

/// Something that a multicast router is told.
public enum MulticastEvent: Sendable {
    /// The forwarder has a binding of a node with IPv6.
    case linkPut(MulticastLink)
    /// It has none any more; where it `isBound` still, memberships are to be ended, else they went with it.
    case linkRemoved(IPv4Address, isBound: Bool)
    /// A node said something, as a packet from its IPv6 header on.
    case received(packet: [UInt8], from: IPv4Address)
    /// The time of `nextDeadline` has come.
    case deadline
    /// The forwarder did not take a membership.
    case refused(MulticastMembership)
    /// The forwarder is away.
    case suspended
    /// It is there again, and from here on links are put anew.
    case resynchronizationBegan
    /// These are members at the forwarder, whoever made them so.
    case found([MulticastMembership])
    /// All that there are have been told.
    case resynchronizationEnded
}

/// Something that a multicast router has done.
public enum MulticastAction: Hashable, Sendable {
    /// Have the forwarder make a node a member.
    case join(MulticastMembership)
    /// Have it end that.
    case leave(MulticastMembership)
    /// Send a packet into a node's tunnel.
    case send(packet: [UInt8], to: IPv4Address)
    /// Count an outcome.
    case count(MulticastOutcome)
}

/// A multicast router.
public struct MulticastRouter: ~Copyable {
    struct Link {
        var link: MulticastLink
        /// Memberships, by group.
        var groups: [IPv6Address: UInt32] = [:]
        /// Of general queries, those that come sooner.
        var startupQueries: UInt8
        /// Of the resynchronization in which it was put last.
        var round: UInt32
    }

    struct Membership {
        var name: MulticastMembership
        var link: UInt32
        /// Until when it is believed, in nanoseconds.
        var expiry: UInt64
        /// Queries about it that are still to be sent, and when the next is.
        var queries: UInt8 = 0
        var nextQuery: UInt64 = .max
        /// Until when a node of version 1 is taken to be there.
        var version1Until: UInt64 = 0
        /// Whether the forwarder was found to have it, since a resynchronization began.
        var isFound = false
    }

    let configuration: MulticastConfiguration
    var links = Slots<Link>()
    var numbers: [IPv4Address: UInt32] = [:]
    var memberships = Slots<Membership>()
    /// General queries, by links' numbers.
    var queryTimes = DeadlineHeap()
    /// Ends and queries of memberships, by their numbers.
    var membershipTimes = DeadlineHeap()
    var random: any RandomNumberGenerator
    private var isSuspended = true
    private var isResynchronizing = false
    private var round: UInt32 = 0

    /// What one deadline sends or ends at the most of each kind; the rest comes with the next, which is then at once.
    static let deadlineBatch = 256

    /// A router without links.
    /// - Parameter random: for the times of queries after a start, which are not to come all at once.
    public init(_ configuration: MulticastConfiguration, random: any RandomNumberGenerator) {
        self.configuration = configuration
        self.random = random
    }

    /// Memberships at this moment.
    public var membershipCount: Int { memberships.count }

    /// When it next has something to do by itself, in nanoseconds; nil for never.
    public var nextDeadline: UInt64? {
        guard !isSuspended else { return nil }
        switch (queryTimes.earliest, membershipTimes.earliest) {
        case (let first?, let second?): return min(first, second)
        case (let first, let second): return first ?? second
        }
    }

    /// Takes an event.
    /// - Parameter now: in nanoseconds of a clock that never goes back.
    /// - Returns: what is to be done, in that order.
    public mutating func handle(_ event: MulticastEvent, at now: UInt64) -> [MulticastAction] {
        var actions: [MulticastAction] = []
        switch event {
        case .linkPut(let link): put(link, now, &actions)
        case .linkRemoved(let homeAddress, let isBound): remove(homeAddress, isBound, &actions)
        case .received(let packet, let homeAddress): receive(packet, homeAddress, now, &actions)
        case .deadline: if !isSuspended { handleDeadlines(now, &actions) }
        case .refused(let membership):
            guard let number = number(of: membership) else { break }
            actions.append(.count(.listenerMembershipRefused))
            forget(number)
        case .suspended: isSuspended = true
        case .resynchronizationBegan: beginResynchronization()
        case .found(let found): take(found, now, &actions)
        case .resynchronizationEnded: endResynchronization(now, &actions)
        }
        return actions
    }

    /// Groups that a node is a member of, in their order, with the seconds that is left of each, and the version that is
    /// spoken of it.
    public func groups(
        of homeAddress: IPv4Address, at now: UInt64
    ) -> [(group: IPv6Address, remaining: UInt64, version: UInt8)] {
        guard let number = numbers[homeAddress] else { return [] }
        return links[number].groups.sorted { $0.key < $1.key }.map { group, number in
            let membership = memberships[number]
            let remaining = (max(membership.expiry, now) - now) / 1_000_000_000
            return (group, remaining, membership.version1Until > now ? 1 : 2)
        }
    }

    // MARK: - Links

    private mutating func put(_ link: MulticastLink, _ now: UInt64, _ actions: inout [MulticastAction]) {
        if let number = numbers[link.homeAddress] {
            links[number].round = round
            guard links[number].link != link else { return }
            links[number].link = link
            for (group, number) in links[number].groups where !link.policy.permits(group) {
                actions.append(.count(.listenerGroupRefused))
                end(number, &actions)
            }
            return
        }
        // One that was there before is asked sooner or later, and what it was a member of is found.
        let startupQueries = isResynchronizing ? 0 : configuration.robustness - 1
        let number = links.insert(Link(link: link, startupQueries: startupQueries, round: round))
        numbers[link.homeAddress] = number
        if isResynchronizing {
            scatter(number, now)
        } else {
            queryTimes.set(number, to: now)
        }
    }

    private mutating func scatter(_ number: UInt32, _ now: UInt64) {
        queryTimes.set(number, to: now + UInt64.random(in: 0..<configuration.startupInterval, using: &random))
    }

    private mutating func remove(_ homeAddress: IPv4Address, _ isBound: Bool, _ actions: inout [MulticastAction]) {
        guard let number = numbers.removeValue(forKey: homeAddress) else { return }
        for membership in links[number].groups.values {
            if isBound { end(membership, &actions) } else { forget(membership) }
        }
        queryTimes.remove(number)
        links.remove(number)
    }

    // MARK: - Memberships

    func number(of membership: MulticastMembership) -> UInt32? {
        numbers[membership.homeAddress].flatMap { links[$0].groups[membership.group] }
    }

    /// Ends a membership, and has the forwarder end it.
    mutating func end(_ number: UInt32, _ actions: inout [MulticastAction]) {
        actions.append(.leave(memberships[number].name))
        forget(number)
    }

    private mutating func forget(_ number: UInt32) {
        let membership = memberships[number]
        links[membership.link].groups[membership.name.group] = nil
        membershipTimes.remove(number)
        memberships.remove(number)
    }

    /// Brings a membership's deadline up to what it says.
    mutating func schedule(_ number: UInt32) {
        let membership = memberships[number]
        membershipTimes.set(number, to: min(membership.expiry, membership.nextQuery))
    }

    // MARK: - Deadlines

    private mutating func handleDeadlines(_ now: UInt64, _ actions: inout [MulticastAction]) {
        for _ in 0..<Self.deadlineBatch {
            guard let number = membershipTimes.takeDue(at: now) else { break }
            if memberships[number].expiry <= now {
                let wasAsked = memberships[number].nextQuery < .max || memberships[number].queries > 0
                actions.append(.count(wasAsked ? .listenerLeft : .listenerExpired))
                end(number, &actions)
            } else {
                ask(number, now, &actions)
            }
        }
        for _ in 0..<Self.deadlineBatch {
            guard let number = queryTimes.takeDue(at: now) else { break }
            let query = ListenerQuery(
                source: links[number].link.source, maximumResponse: UInt16(configuration.responseInterval * 1000),
                robustness: configuration.robustness, queryInterval: configuration.queryInterval)
            actions.append(.send(packet: query.packet, to: links[number].link.homeAddress))
            actions.append(.count(.listenerGeneralQuery))
            let isStarting = links[number].startupQueries > 0
            if isStarting { links[number].startupQueries -= 1 }
            queryTimes.set(
                number, to: now + (isStarting ? configuration.startupInterval : configuration.generalInterval))
        }
    }

    // MARK: - Resynchronization

    private mutating func beginResynchronization() {
        (isSuspended, isResynchronizing) = (true, true)
        round &+= 1
        memberships.changeEach { $0.isFound = false }
    }

    /// What the forwarder has and this does not know is believed as if it were reported now; what a node may not have ends.
    private mutating func take(
        _ found: [MulticastMembership], _ now: UInt64, _ actions: inout [MulticastAction]
    ) {
        for membership in found {
            guard let link = numbers[membership.homeAddress] else { continue }
            let number =
                links[link].groups[membership.group]
                ?? admit(membership.group, to: link, now + configuration.listeningInterval, &actions)
            if let number { memberships[number].isFound = true } else { actions.append(.leave(membership)) }
        }
    }

    private mutating func endResynchronization(_ now: UInt64, _ actions: inout [MulticastAction]) {
        for (homeAddress, number) in numbers where links[number].round != round {
            remove(homeAddress, false, &actions)
        }
        let expiry = now + configuration.listeningInterval
        for number in memberships.numbers {
            if !memberships[number].isFound { actions.append(.join(memberships[number].name)) }
            memberships[number].expiry = max(memberships[number].expiry, expiry)
            (memberships[number].queries, memberships[number].nextQuery) = (0, .max)
            schedule(number)
        }
        // What was due meanwhile is not all sent now.
        for number in numbers.values where (queryTimes.deadline(of: number) ?? 0) < now { scatter(number, now) }
        (isSuspended, isResynchronizing) = (false, false)
    }
}
