// A home agent with a node, a foreign agent and a clock, for tests: requests are signed as the node and the foreign agent
// would, and what comes of them is a list of short lines, so that tests can be read as tables.
//
//     store                                        the node's record, with its binding; else "store without binding"
//     put 198.51.100.7 at 203.0.113.9 … 600 s      the forwarder is told
//     + 2001:db8:1::/64, - 2001:db8:1::/64         a route comes, goes
//     reply 0, 600 s, 2001:db8:1::/64 1            with what its extensions say

import MobileIP
import TestSupport
import Testing
import Wire

final class TestHomeAgent {
    static let address = IPv4Address("192.0.2.1")!
    static let home = IPv4Address("198.51.100.7")!
    static let careOf = IPv4Address("203.0.113.9")!
    static let foreignAgent = IPv4Address("203.0.113.200")!
    static let nodeKey = try! SecurityAssociation(securityParameterIndex: 256, key: Array(0x10..<0x20))
    static let otherKey = try! SecurityAssociation(securityParameterIndex: 256, key: Array(0xE0..<0xF0))
    static let foreignKey = try! SecurityAssociation(securityParameterIndex: 300, key: Array(0x40..<0x50))
    static let name = NetworkAccessIdentifier("mn1@example.net")!

    private var agent: HomeAgent
    private(set) var now: Moment
    private var sequence: UInt64 = 0
    /// The last actions.
    private(set) var actions: [HomeAgentAction] = []

    /// - Parameter nodes: where none are named, the node of `home`.
    init(
        nodes: [ServedNode] = [TestHomeAgent.node()], time: NetworkTime = NetworkTime(rawValue: 4_000_000_000 << 32),
        _ configure: (inout HomeAgentConfiguration) -> Void = { _ in }
    ) {
        var configuration = HomeAgentConfiguration(addresses: [Self.address])
        configuration.limits.prefixes = 4096
        configuration.foreignAgents = [ForeignAgent(address: Self.foreignAgent, associations: [Self.foreignKey])]
        configure(&configuration)
        agent = HomeAgent(configuration, random: SeededGenerator(seed: 1))
        now = Moment(timeOfDay: time, nanoseconds: 5_000_000_000)
        handle(.nodesChanged(put: nodes, removed: []))
    }

    static func node(
        _ homeAddress: IPv4Address = home, key: SecurityAssociation = nodeKey,
        _ configure: (inout ServedNode) -> Void = { _ in }
    ) -> ServedNode {
        var node = ServedNode(homeAddress: homeAddress, associations: [key])
        node.prefixes = [PrefixPermission(within: IPv6Prefix("2001:db8:1::/48")!, lengths: 48...64)]
        configure(&node)
        return node
    }

    var bindingCount: Int { agent.bindingCount }
    var nextDeadline: UInt64? { agent.nextDeadline }

    func bindings(from position: Int = 0, limit: Int = 1000) -> (bindings: [MobilityBinding], next: Int?) {
        agent.bindings(from: position, limit: limit, at: now)
    }

    func records(from position: Int = 0, limit: Int = 1000) -> (records: [StoredRegistration], next: Int?) {
        agent.records(from: position, limit: limit, at: now)
    }

    @discardableResult
    func handle(_ event: HomeAgentEvent) -> [String] {
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

    /// The next identification by the node's clock, which is the home agent's.
    func nextIdentification() -> UInt64 {
        sequence += 1
        return now.timeOfDay.rawValue + sequence
    }

    /// The replies among the last actions.
    var replies: [RegistrationReply] {
        actions.compactMap { action in
            guard case .send(let datagram) = action else { return nil }
            return try? RegistrationReply.parse(datagram.payload).message
        }
    }

    /// What was sent last.
    var sent: [OutgoingDatagram] {
        actions.compactMap { action in
            if case .send(let datagram) = action { return datagram }
            return nil
        }
    }
}

/// A request that a test sends; by default of the node, from its own care-of address, for ten minutes.
struct TestRequest {
    var flags: RegistrationRequest.Flags = .decapsulationByMobileNode
    var lifetime: UInt16 = 600
    var home = TestHomeAgent.home
    var agent = TestHomeAgent.address
    var careOf = TestHomeAgent.careOf
    /// Nil for the next by the clock.
    var identification: UInt64?
    /// Nil for the care-of address.
    var source: IPv4Address?
    var sourcePort: UInt16 = 5000
    var destination = TestHomeAgent.address
    var side = NetworkSide.access
    /// Covered by the node's authentication.
    var extensions: [MobileIPExtension] = []
    /// Nil for none.
    var key: SecurityAssociation? = TestHomeAgent.nodeKey
    /// Behind it.
    var foreignExtensions: [MobileIPExtension] = []
    /// Nil for none.
    var foreignKey: SecurityAssociation?

    init(_ change: (inout TestRequest) -> Void = { _ in }) { change(&self) }

    /// Through the foreign agent, whose address is the care-of address.
    static func throughForeignAgent(_ change: (inout TestRequest) -> Void = { _ in }) -> TestRequest {
        TestRequest {
            $0.flags = []
            $0.careOf = TestHomeAgent.foreignAgent
            $0.foreignKey = TestHomeAgent.foreignKey
            change(&$0)
        }
    }

    /// Asks for these prefixes, and for the care-of tunnel.
    static func prefixes(_ prefixes: [String], _ change: (inout TestRequest) -> Void = { _ in }) -> TestRequest {
        TestRequest {
            $0.ask(for: prefixes)
            $0.extensions.append(.ipv6TunnelingMode)
            change(&$0)
        }
    }

    /// As text; of link-local addresses with length 255.
    mutating func ask(for prefixes: [String]) {
        extensions += prefixes.map { text in
            let parts = text.split(separator: "/")
            return .ipv6PrefixRequest(
                IPv6PrefixRequest(
                    prefix: IPv6HomePrefix(length: UInt8(parts[1])!, address: IPv6Address(String(parts[0]))!)))
        }
    }

    func bytes(identification: UInt64) throws -> [UInt8] {
        let request = RegistrationRequest(
            flags: flags, lifetime: RegistrationLifetime(seconds: lifetime), homeAddress: home, homeAgent: agent,
            careOfAddress: careOf, identification: identification, extensions: extensions)
        var bytes = try key.map { try $0.sign(request, as: .mobileHome) } ?? request.write()
        var writer = MessageWriter(continuing: bytes, room: 0)
        for element in foreignExtensions { element.write(to: &writer) }
        bytes = writer.bytes
        return try foreignKey.map { try $0.sign(bytes, as: .foreignHome) } ?? bytes
    }

    func datagram(identification: UInt64) throws -> ReceivedDatagram {
        ReceivedDatagram(
            payload: try bytes(identification: identification), source: source ?? careOf, sourcePort: sourcePort,
            destination: destination, side: side)
    }
}

extension TestHomeAgent {
    /// Sends a request.
    @discardableResult
    func register(_ request: TestRequest = TestRequest()) throws -> [String] {
        handle(.datagram(try request.datagram(identification: request.identification ?? nextIdentification())))
    }

    /// Sends a request and tells the reply alone.
    func reply(to request: TestRequest) throws -> String {
        try register(request).first { $0.hasPrefix("reply") } ?? actions.map(\.line).joined(separator: "; ")
    }
}

// MARK: - Lines

extension HomeAgentAction {
    /// What it is, shortly.
    var line: String {
        switch self {
        case .store(let record): record.binding == nil ? "store without binding" : "store"
        case .forget(let identity): "forget \(identity)"
        case .putBinding(let binding, _): "put \(binding.line)"
        case .removeBinding(let homeAddress): "remove \(homeAddress)"
        case .addRoute(let route): "+ \(route.line)"
        case .removeRoute(let route): "- \(route.line)"
        case .send(let datagram): datagram.line
        case .count(let outcome): "count \(outcome.line)"
        case .log(let exception): "log \(exception.reason)"
        }
    }
}

extension HomeRoute {
    fileprivate var line: String {
        switch self {
        case .address(let address): address.description
        case .prefix(let prefix): prefix.description
        case .network(let network): network.description
        }
    }
}

extension MobilityBinding {
    fileprivate var line: String {
        let encapsulation =
            switch tunnel.encapsulation {
            case .ipInIP: "ip-in-ip"
            case .gre(let key): "gre" + (key.map { " \($0)" } ?? "")
            case .minimal: "minimal"
            }
        let port = tunnel.udpPort.map { " in udp \($0)" } ?? ""
        let bound = prefixes.map { "\($0.prefix) \($0.usesCareOfAddress ? "care-of" : "home")" }
        let parts = bound + networks.map(\.description) + [lifetime.map { "\($0) s" } ?? "for ever"]
        return "\(homeAddress) at \(tunnel.careOfAddress) by \(encapsulation)\(port), " + parts.joined(separator: ", ")
    }
}

extension OutgoingDatagram {
    fileprivate var line: String {
        switch try? MobileIPDatagram.parse(payload) {
        case .registrationReply(let received):
            let reply = received.message
            let said = reply.extensions.compactMap(\.said)
            return (["reply \(reply.code.rawValue)", reply.lifetime.description] + said).joined(separator: ", ")
        case .registrationRevocation(let received):
            return "revoke \(received.message.homeAddress) at \(destination)"
                + (received.message.flags.contains(.inform) ? ", inform" : "")
        case .registrationRevocationAcknowledgment(let received):
            return "acknowledge \(received.message.homeAddress)" + (received.message.inform ? ", inform" : "")
        default: return "unreadable"
        }
    }
}

extension MobileIPExtension {
    /// Nil for authentications.
    fileprivate var said: String? {
        switch self {
        case .authentication, .generalizedAuthentication: nil
        case .ipv6PrefixReply(let reply): "\(reply.prefix) \(reply.code.rawValue)"
        case .mobileNetworkAcknowledgment(let value):
            "\(value.prefix.address)/\(value.prefix.length) \(value.mode) \(value.code.rawValue)"
        case .udpTunnelReply(let reply):
            "udp \(reply.code.rawValue)\(reply.isForced ? " forced" : ""), every \(reply.keepaliveInterval) s"
        case .greKey(let key): "key \(key)"
        case .mobileNodeNAI(let name): name.description
        case .revocationSupport(let value): "revocable" + (value.inform ? ", inform" : "")
        case .dynamicHomeAgent(let value): "\(value.role) \(value.address)"
        case .challenge(let value): "challenge of \(value.bytes.count)"
        default: "\(self)"
        }
    }
}

extension HomeAgentOutcome {
    var line: String {
        switch self {
        case .replied(let code): "replied \(code.rawValue)"
        case .prefix(let code): "prefix \(code.rawValue)"
        case .malformed(let error): error.name
        case .discarded(let discard): discard.name
        case .bindingEnded(let end): "\(end)"
        case .revocation(let outcome): "revocation \(outcome)"
        case .configuredPrefixTaken: "configured prefix taken"
        case .nodeRefused: "node refused"
        }
    }
}
