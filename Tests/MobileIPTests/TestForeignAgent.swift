// A foreign agent with a clock, for tests: a node's requests and a home agent's replies are made and signed as they would
// be, and what comes of them is a list of short lines, so that tests can be read as tables.
//
//     relay to 192.0.2.1                          with the source, where it is not the first care-of address
//     answer 0, 600 s                             a home agent's reply, or the agent's own
//     put 198.51.100.7 of 192.0.2.1, 600 s, reverse

import MobileIP
import TestSupport
import Testing
import Wire

final class TestForeignAgent {
    static let visited = IPv4Address("10.1.0.1")!
    static let careOf = IPv4Address("203.0.113.200")!
    static let home = TestHomeAgent.home
    static let homeAgent = TestHomeAgent.address
    /// A node with which the agent shares an association.
    static let associated = IPv4Address("198.51.100.8")!
    static let nodeKey = TestHomeAgent.nodeKey
    static let foreignKey = TestHomeAgent.foreignKey
    static let visitKey = try! SecurityAssociation(securityParameterIndex: 400, key: Array(0x70..<0x80))
    static let link = LinkLayerAddress([2, 0, 0, 0, 0, 7])

    private var agent: ForeignAgentStateMachine
    private(set) var now = Moment(timeOfDay: NetworkTime(rawValue: 4_000_000_000 << 32), nanoseconds: 5_000_000_000)
    /// The last actions.
    private(set) var actions: [ForeignAgentAction] = []

    init(shares: Bool = true, _ configure: (inout ForeignAgentConfiguration) -> Void = { _ in }) {
        var configuration = ForeignAgentConfiguration(addresses: [Self.visited], careOfAddresses: [Self.careOf])
        configuration.advertisementInterval = nil
        configuration.nodes = [
            AssociatedNode(identity: .homeAddress(Self.associated), associations: [Self.visitKey])
        ]
        if shares {
            configuration.homeAgents = [
                AssociatedHomeAgent(address: Self.homeAgent, associations: [Self.foreignKey])
            ]
        }
        configure(&configuration)
        agent = ForeignAgentStateMachine(configuration, random: SeededGenerator(seed: 1))
    }

    var visitorCount: Int { agent.visitorCount }
    var nextDeadline: UInt64? { agent.nextDeadline }

    @discardableResult
    func handle(_ event: ForeignAgentEvent) -> [String] {
        actions = agent.handle(event, at: now)
        return actions.map(\.line)
    }

    /// Both clocks go on, and what is due is done.
    @discardableResult
    func wait(_ seconds: Double) -> [String] {
        now.nanoseconds += UInt64(seconds * 1_000_000_000)
        now.timeOfDay = now.timeOfDay.advanced(byUnits: Int64(seconds * 4_294_967_296))
        return handle(.deadline)
    }

    @discardableResult
    func ask(_ change: (inout TestVisit) -> Void = { _ in }) -> [String] {
        handle(.request(TestVisit(change).datagram))
    }

    @discardableResult
    func reply(_ change: (inout TestVisitReply) -> Void = { _ in }) -> [String] {
        let reply = TestVisitReply(change)
        return handle(.reply(HomeAgentDatagram(payload: reply.bytes, source: reply.source)))
    }

    var answers: [VisitingReply] {
        actions.compactMap { action in
            if case .answer(let reply) = action { return reply }
            return nil
        }
    }

    var relayed: [UInt8]? {
        for case .relay(let bytes, _, _) in actions { return bytes }
        return nil
    }

    var advertisements: [AgentAdvertisement] {
        actions.compactMap { action in
            guard case .advertise(let bytes, _) = action else { return nil }
            return try? AgentAdvertisement.parse(bytes).advertisement
        }
    }
}

/// A request of a node; by default of `home`, for ten minutes, with a reverse tunnel.
struct TestVisit {
    var flags: RegistrationRequest.Flags = .reverseTunneling
    var lifetime: UInt16 = 600
    var home = TestForeignAgent.home
    var agent = TestForeignAgent.homeAgent
    var careOf = TestForeignAgent.careOf
    var identification: UInt64 = 0x1234_5678_9ABC_DEF0
    var extensions: [MobileIPExtension] = []
    /// Whether the node signs for its home agent.
    var isSigned = true
    /// Behind that.
    var behind: [MobileIPExtension] = []
    /// Nil for no authentication for the foreign agent.
    var visitKey: SecurityAssociation?
    /// Changes the bytes.
    var damage: (inout [UInt8]) -> Void = { _ in }
    var source = TestForeignAgent.home
    var sourcePort: UInt16 = 5000
    var destination = TestForeignAgent.visited
    var link = TestForeignAgent.link
    var timeToLive: UInt8 = 255

    init(_ change: (inout TestVisit) -> Void = { _ in }) { change(&self) }

    var datagram: VisitingDatagram {
        let request = RegistrationRequest(
            flags: flags, lifetime: RegistrationLifetime(seconds: lifetime), homeAddress: home, homeAgent: agent,
            careOfAddress: careOf, identification: identification, extensions: extensions)
        var bytes = try! isSigned ? TestForeignAgent.nodeKey.sign(request, as: .mobileHome) : request.write()
        if let visitKey {
            bytes = try! visitKey.sign(bytes, adding: behind, as: .mobileForeign)
        } else {
            var writer = MessageWriter(continuing: bytes, room: 0)
            for element in behind { element.write(to: &writer) }
            bytes = writer.bytes
        }
        damage(&bytes)
        return VisitingDatagram(
            payload: bytes, source: VisitingSource(address: source, linkLayerAddress: link),
            sourcePort: sourcePort, destination: destination, timeToLive: timeToLive)
    }
}

/// A reply of the home agent; by default it accepts for ten minutes.
struct TestVisitReply {
    var code = ReplyCode.accepted
    var lifetime: UInt16 = 600
    var home = TestForeignAgent.home
    var agent = TestForeignAgent.homeAgent
    var identification: UInt64 = 0x1234_5678_9ABC_DEF0
    var extensions: [MobileIPExtension] = []
    var isSigned = true
    /// Nil for no authentication for the foreign agent.
    var foreignKey: SecurityAssociation? = TestForeignAgent.foreignKey
    var source = TestForeignAgent.homeAgent

    init(_ change: (inout TestVisitReply) -> Void = { _ in }) { change(&self) }

    var bytes: [UInt8] {
        let reply = RegistrationReply(
            code: code, lifetime: RegistrationLifetime(seconds: lifetime), homeAddress: home, homeAgent: agent,
            identification: identification, extensions: extensions)
        let bytes = try! isSigned ? TestForeignAgent.nodeKey.sign(reply, as: .mobileHome) : reply.write()
        return try! foreignKey?.sign(bytes, as: .foreignHome) ?? bytes
    }
}

extension ForeignAgentAction {
    fileprivate var line: String {
        switch self {
        case .relay(_, let source, let destination):
            "relay to \(destination)" + (source == TestForeignAgent.careOf ? "" : " from \(source)")
        case .answer(let reply):
            (try? RegistrationReply.parse(reply.payload)).map {
                "answer \($0.message.code.rawValue), \($0.message.lifetime.seconds) s"
            } ?? "unreadable"
        case .advertise(_, .allNodes): "advertise to all"
        case .advertise(_, .node(let source)): "advertise to \(source.address)"
        case .putVisitor(let visitor):
            "put \(visitor.homeAddress) of \(visitor.homeAgent), \(visitor.lifetime.seconds) s"
                + (visitor.usesReverseTunnel ? ", reverse" : "")
        case .removeVisitor(let homeAddress): "remove \(homeAddress)"
        case .log(let exception): "log \(exception.party) \(exception.error.name)"
        case .count(let outcome): outcome.line
        }
    }
}

extension ForeignAgentOutcome {
    fileprivate var line: String {
        switch self {
        case .requestRelayed: "relayed"
        case .replyRelayed(let code): "replied \(code.rawValue)"
        case .denied(let code): "denied \(code.rawValue)"
        case .malformed(let error): error.name
        case .discarded(let discard): discard.name
        case .visitorEnded(let end): "ended: \(end)"
        case .advertised: "advertised"
        }
    }
}
