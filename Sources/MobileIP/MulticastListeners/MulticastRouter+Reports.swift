// What a node says, and what becomes of its groups (RFC 3810, 7.4, without sources; 8.3.2).

import Wire

extension MulticastRouter {
    mutating func receive(
        _ packet: [UInt8], _ homeAddress: IPv4Address, _ now: UInt64, _ actions: inout [MulticastAction]
    ) {
        guard let link = numbers[homeAddress] else { return actions.append(.count(.listenerNotOnLink)) }
        let message: ListenerMessage
        do throws(MulticastOutcome) {
            message = try packet.withUnsafeBytes { bytes in
                Result { () throws(MulticastOutcome) in try ListenerMessage(packet: bytes) }
            }.get()
        } catch {
            return actions.append(.count(error))
        }
        let isDone = message.version == 1 && message.records.first?.statement == .leaves
        actions.append(.count(isDone ? .listenerDone : .listenerReport))
        for record in message.records where record.group.multicastScope > IPv6Address.linkLocalScope {
            switch record.statement {
            case .listens: listen(record.group, on: link, version: message.version, now, &actions)
            case .leaves: leave(record.group, on: link, now, &actions)
            case .blocks:
                guard let number = links[link].groups[record.group], memberships[number].version1Until <= now else {
                    continue
                }
                leave(record.group, on: link, now, &actions)
            }
        }
    }

    private mutating func listen(
        _ group: IPv6Address, on link: UInt32, version: UInt8, _ now: UInt64, _ actions: inout [MulticastAction]
    ) {
        let expiry = now + configuration.listeningInterval
        let number: UInt32
        if let known = links[link].groups[group] {
            number = known
            memberships[number].expiry = expiry
        } else {
            guard let new = admit(group, to: link, expiry, &actions) else { return }
            number = new
            actions.append(.join(memberships[number].name))
            actions.append(.count(.listenerJoined))
        }
        if version == 1 { memberships[number].version1Until = expiry }
        // Once it has answered, the end of its queries says nothing any more.
        if memberships[number].queries == 0 { memberships[number].nextQuery = .max }
        schedule(number)
    }

    /// Makes a membership that the node may have, and no more.
    /// - Returns: its number; nil where it may not be, which is counted.
    mutating func admit(
        _ group: IPv6Address, to link: UInt32, _ expiry: UInt64, _ actions: inout [MulticastAction]
    ) -> UInt32? {
        let policy = links[link].link.policy
        let refusal: MulticastOutcome? =
            if !policy.permits(group) {
                .listenerGroupRefused
            } else if links[link].groups.count >= policy.maximumGroups {
                .listenerNodeLimit
            } else if memberships.count >= configuration.memberships {
                .listenerLimit
            } else {
                nil
            }
        if let refusal {
            actions.append(.count(refusal))
            return nil
        }
        let name = MulticastMembership(group, of: links[link].link.homeAddress)
        let number = memberships.insert(Membership(name: name, link: link, expiry: expiry))
        links[link].groups[group] = number
        schedule(number)
        return number
    }

    /// The node is asked whether it listens still, and has the time of the last listener to say so (RFC 3810, 7.6.3.1).
    /// That it says it again, as it does lest it be lost, changes nothing.
    private mutating func leave(
        _ group: IPv6Address, on link: UInt32, _ now: UInt64, _ actions: inout [MulticastAction]
    ) {
        guard let number = links[link].groups[group] else { return }
        let isAsked = memberships[number].nextQuery < .max
        let end = now + configuration.lastListenerTime
        if isAsked, memberships[number].expiry <= end { return }
        memberships[number].expiry = min(memberships[number].expiry, end)
        memberships[number].queries = configuration.robustness
        ask(number, now, &actions)
    }

    /// Sends one of the queries about a group that are to be sent, or ends them.
    mutating func ask(_ number: UInt32, _ now: UInt64, _ actions: inout [MulticastAction]) {
        let membership = memberships[number]
        guard membership.queries > 0 else {
            memberships[number].nextQuery = .max
            return schedule(number)
        }
        let query = ListenerQuery(
            group: membership.name.group, source: links[membership.link].link.source,
            maximumResponse: UInt16(MulticastConfiguration.lastListenerInterval * 1000),
            suppressesProcessing: membership.expiry > now + configuration.lastListenerTime,
            robustness: configuration.robustness, queryInterval: configuration.queryInterval)
        actions.append(.send(packet: query.packet, to: membership.name.homeAddress))
        actions.append(.count(.listenerGroupQuery))
        memberships[number].queries -= 1
        memberships[number].nextQuery = now + configuration.groupInterval
        schedule(number)
    }
}
