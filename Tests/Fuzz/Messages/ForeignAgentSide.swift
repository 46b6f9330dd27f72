// A foreign agent, and its visitors as it has told of them. Whatever comes, there are no more than its limits allow, and
// what the node and the home agent have signed goes on byte for byte.

import MobileIP
import TestSupport
import Wire

final class ForeignAgentSide {
    private static let visitorLimit = 1

    private var agent: ForeignAgentStateMachine
    private var visitors: Set<IPv4Address> = []
    private(set) var outcomes: [ForeignAgentOutcome: UInt64] = [:]

    init(seed: UInt64) {
        var configuration = ForeignAgentConfiguration(
            addresses: [Parties.visited], careOfAddresses: [Parties.foreignAgent])
        configuration.flags = [.foreignAgent, .reverseTunneling, .greEncapsulation, .minimalEncapsulation]
        configuration.advertisementInterval = 30
        configuration.nodes = [
            AssociatedNode(identity: .homeAddress(Parties.otherHome), associations: [Parties.visit])
        ]
        configuration.homeAgents = [
            AssociatedHomeAgent(address: Parties.homeAgent, associations: [Parties.foreign])
        ]
        configuration.limits.visitors = Self.visitorLimit
        (configuration.limits.pendingRequests, configuration.limits.pendingRequestsOfNode) = (4, 2)
        agent = ForeignAgentStateMachine(configuration, random: SeededGenerator(seed: seed))
    }

    var nextDeadline: UInt64? { agent.nextDeadline }

    /// - Returns: what it did, but for what it counted.
    func handle(_ event: ForeignAgentEvent, _ now: Moment) throws(Finding) -> [ForeignAgentAction] {
        var rest: [ForeignAgentAction] = []
        for action in agent.handle(event, at: now) {
            switch action {
            case .count(let outcome): outcomes[outcome, default: 0] += 1
            case .putVisitor(let visitor): visitors.insert(visitor.homeAddress)
            case .removeVisitor(let homeAddress):
                guard visitors.remove(homeAddress) != nil else {
                    throw Finding("a visitor is removed that is not there: \(homeAddress)")
                }
            case .relay(let bytes, let source, _):
                guard source == Parties.foreignAgent, case .request(let datagram) = event else {
                    throw Finding("a request is relayed that nobody sent")
                }
                try checkRelayed(bytes, of: datagram.payload)
                rest.append(action)
            case .answer(let reply):
                switch event {
                case .reply(let datagram) where !isOwn(reply.payload):
                    try checkRelayed(reply.payload, of: datagram.payload)
                case .request: try ReaderCheck.checkSent(reply.payload)
                default: break
                }
                rest.append(action)
            case .advertise(let bytes, _):
                guard (try? AgentAdvertisement.parse(bytes)) != nil else {
                    throw Finding("an advertisement that can't be read")
                }
                rest.append(action)
            case .log: break
            }
        }
        guard agent.visitorCount == visitors.count, visitors.count <= Self.visitorLimit else {
            throw Finding("\(agent.visitorCount) visitors, and \(visitors.count) were told of")
        }
        return rest
    }

    /// Whether a reply has a code of foreign agents (RFC 5944, 3.4).
    private func isOwn(_ reply: [UInt8]) -> Bool { reply.count > 1 && (64...127).contains(reply[1]) }

    /// RFC 5944, 3.7.2.2 and 3.7.3.2: what the mobile-home authentication covers stays as it is.
    private func checkRelayed(_ bytes: [UInt8], of received: [UInt8]) throws(Finding) {
        guard let datagram = try? MobileIPDatagram.parse(received) else {
            throw Finding("what can't be read is relayed")
        }
        let authentications =
            switch datagram {
            case .registrationRequest(let received): received.authentications(of: .mobileHome)
            case .registrationReply(let received): received.authentications(of: .mobileHome)
            default: [ReceivedAuthentication]()
            }
        guard let last = authentications.last else { throw Finding("what nobody signed is relayed") }
        let end = last.coveredLength + last.value.authenticator.count
        guard bytes.starts(with: received[..<end]) else {
            throw Finding("what was signed is relayed as something else")
        }
        guard (try? MobileIPDatagram.parse(bytes)) != nil else { throw Finding("what is relayed can't be read") }
    }
}
