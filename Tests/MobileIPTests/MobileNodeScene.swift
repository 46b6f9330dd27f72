// A mobile node and those around it: a clock that goes only when told, a home agent that answers what was asked last.

import MobileIP
import TestSupport
import Testing
import Wire

/// A mobile node and those around it.
struct MobileNodeScene {
    static func ipv4(_ text: String) -> IPv4Address { IPv4Address(text)! }
    static func prefix(_ text: String) -> IPv6Prefix { IPv6Prefix(text)! }

    static let homeAddress = ipv4("198.51.100.7")
    static let homeAgent = ipv4("192.0.2.1")
    static let otherHomeAgent = ipv4("192.0.2.2")
    static let careOfAddress = ipv4("203.0.113.9")
    static let otherCareOfAddress = ipv4("203.0.113.77")
    static let foreignAgent = ipv4("10.1.0.1")
    static let agentLinkLayerAddress = LinkLayerAddress([2, 0, 0, 0, 0, 1])
    static let agentCareOfAddress = ipv4("203.0.113.200")
    static let ownPrefix = prefix("2001:db8:1::/64")

    let association: SecurityAssociation
    let configuration: MobileNodeConfiguration
    var node: MobileNode
    var elapsed: Duration = .seconds(1000)
    /// The node's clock less the true one.
    var clockError: Duration = .zero
    var random: UInt32 = 77
    /// Sent to port 434, the last one last.
    var sent: [MobileNode.Datagram] = []
    var events: [MobileNode.LogEntry] = []

    init(
        replayProtection: ReplayProtection = .timestamps(), _ change: (inout MobileNodeConfiguration) -> Void = { _ in }
    ) throws {
        association = try SecurityAssociation(
            securityParameterIndex: 256, key: Array(0..<16), replayProtection: replayProtection)
        var configuration = MobileNodeConfiguration(
            homeAddress: Self.homeAddress, homeAgents: [Self.homeAgent], securityAssociation: association)
        configuration.prefixes = [.init(Self.ownPrefix)]
        change(&configuration)
        try configuration.validate()
        self.configuration = configuration
        node = MobileNode(configuration)
    }

    /// The time of day at a moment of the scene.
    func timeOfDay(_ moment: Duration) -> NetworkTime {
        NetworkTime(secondsSince1970: 1_700_000_000 + moment.components.seconds)
    }

    @discardableResult
    mutating func tell(_ event: MobileNode.Event) -> [MobileNode.Action] {
        random &+= 1
        let actions = node.handle(
            event,
            at: .init(elapsed: elapsed, timeOfDay: timeOfDay(elapsed + clockError), random: random))
        for case .send(let datagram) in actions { sent.append(datagram) }
        for case .log(let entry) in actions { events.append(entry) }
        return actions
    }

    @discardableResult
    mutating func attach(_ address: IPv4Address = careOfAddress) -> [MobileNode.Action] {
        tell(.careOfAddressAvailable(address, interface: "wlan0"))
    }

    /// Lets time go to the node's deadline, and tells it.
    @discardableResult
    mutating func waitForDeadline() throws -> [MobileNode.Action] {
        elapsed = max(try #require(node.deadline), elapsed)
        return tell(.deadlineReached)
    }

    @discardableResult
    mutating func wait(_ duration: Duration) -> [MobileNode.Action] {
        let end = elapsed + duration
        var actions: [MobileNode.Action] = []
        while let deadline = node.deadline, deadline <= end {
            elapsed = max(elapsed, deadline)
            actions += tell(.deadlineReached)
        }
        elapsed = end
        return actions
    }

    /// The last request, which must be authentic.
    func request(_ index: Int? = nil) throws -> RegistrationRequest {
        let datagram = try #require(index.map { sent[$0] } ?? sent.last)
        let received = try RegistrationRequest.parse(datagram.payload)
        try association.verify(received, .mobileHome)
        return received.message
    }

    /// A reply to the last request: by default one that accepts it, and each of its prefixes.
    func makeReply(
        _ code: ReplyCode = .accepted, lifetime: UInt16? = nil, prefixes: IPv6PrefixReplyCode? = .acceptedCareOfAddress,
        _ extensions: [MobileIPExtension] = []
    ) throws -> RegistrationReply {
        let request = try request()
        var all = extensions
        if let prefixes {
            for case .ipv6PrefixRequest(let asked) in request.extensions {
                all.append(.ipv6PrefixReply(IPv6PrefixReply(code: prefixes, prefix: asked.prefix)))
            }
        }
        return RegistrationReply(
            code: code, lifetime: lifetime.map { RegistrationLifetime(seconds: $0) } ?? request.lifetime,
            homeAddress: request.homeAddress == .unspecified ? Self.homeAddress : request.homeAddress,
            homeAgent: request.homeAgent == Self.ipv4("255.255.255.255") ? Self.homeAgent : request.homeAgent,
            identification: request.identification, extensions: all)
    }

    /// Gives the node a reply of the home agent.
    @discardableResult
    mutating func deliver(_ reply: RegistrationReply, from source: IPv4Address = homeAgent) throws
        -> [MobileNode.Action]
    {
        tell(.datagramReceived(try association.sign(reply, as: .mobileHome), from: source, port: 434))
    }

    /// Gives the node a reply of a foreign agent, which the home agent has not signed.
    @discardableResult
    mutating func deliverUnsigned(_ reply: RegistrationReply, from source: IPv4Address = foreignAgent) throws
        -> [MobileNode.Action]
    {
        tell(.datagramReceived(try reply.write(), from: source, port: 434))
    }

    @discardableResult
    mutating func accept(
        lifetime: UInt16? = nil, prefixes: IPv6PrefixReplyCode? = .acceptedCareOfAddress,
        _ extensions: [MobileIPExtension] = []
    ) throws -> [MobileNode.Action] {
        try deliver(makeReply(lifetime: lifetime, prefixes: prefixes, extensions))
    }

    @discardableResult
    mutating func reject(_ code: ReplyCode, lifetime: UInt16? = nil, _ extensions: [MobileIPExtension] = []) throws
        -> [MobileNode.Action]
    {
        try deliver(makeReply(code, lifetime: lifetime, prefixes: nil, extensions))
    }

    /// Attaches and registers.
    static func registered(_ change: (inout MobileNodeConfiguration) -> Void = { _ in }) throws -> MobileNodeScene {
        var scene = try MobileNodeScene(change)
        scene.attach()
        try scene.accept()
        return scene
    }

    /// An advertisement of the foreign agent.
    static func advertisement(
        flags: AgentAdvertisement.Flags = [.foreignAgent, .reverseTunneling], sequenceNumber: UInt16 = 300,
        lifetime: UInt16 = 30, registrationLifetime: UInt16 = 1800, challenge: Challenge? = nil
    ) -> AgentAdvertisement {
        AgentAdvertisement(
            lifetime: lifetime, sequenceNumber: sequenceNumber,
            registrationLifetime: RegistrationLifetime(seconds: registrationLifetime), flags: flags,
            careOfAddresses: [agentCareOfAddress], challenge: challenge)
    }

    @discardableResult
    mutating func hear(
        _ advertisement: AgentAdvertisement = MobileNodeScene.advertisement(), from source: IPv4Address = foreignAgent,
        at linkLayerAddress: LinkLayerAddress = agentLinkLayerAddress
    ) -> [MobileNode.Action] {
        tell(
            .advertisementHeard(
                advertisement,
                from: .init(address: source, linkLayerAddress: linkLayerAddress, interface: "wlan0")))
    }
}

extension [MobileNode.Action] {
    var datagrams: [MobileNode.Datagram] { compactMap { if case .send(let datagram) = $0 { datagram } else { nil } } }
    var tunnels: [MobileNode.Tunnel] { compactMap { if case .installTunnel(let tunnel) = $0 { tunnel } else { nil } } }
    var keepalives: [UInt16] { compactMap { if case .sendKeepalive(let number) = $0 { number } else { nil } } }
    var logged: [MobileNode.LogEntry] { compactMap { if case .log(let entry) = $0 { entry } else { nil } } }
    /// Changes of the host's network.
    var network: [MobileNode.Action] {
        filter {
            switch $0 {
            case .installTunnel, .removeTunnel, .addAddress, .removeAddress, .addRoute, .removeRoute: true
            default: false
            }
        }
    }
}

extension [MobileIPExtension] {
    var prefixRequests: [IPv6HomePrefix] {
        compactMap { if case .ipv6PrefixRequest(let value) = $0 { value.prefix } else { nil } }
    }
    var tunnelingModes: Int { count { $0 == .ipv6TunnelingMode } }
    var udpTunnelRequests: [UDPTunnelRequest] {
        compactMap { if case .udpTunnelRequest(let value) = $0 { value } else { nil } }
    }
    var networkRequests: [MobileNetworkPrefix] {
        compactMap { if case .mobileNetworkRequest(let value) = $0 { value.prefix } else { nil } }
    }
}
