// What `mooring-mn status` shows, as JSON. Keys may be added; those that are here keep their meaning.

import Foundation
import MobileIP
import Wire

/// What a running mooring-mn says of itself.
public struct StatusReport: Codable, Hashable, Sendable {
    /// A prefix that is wanted.
    public struct Prefix: Codable, Hashable, Sendable {
        /// As `2001:db8:1::/64`; a link-local address has length 255.
        public var prefix: String
        /// `pending`, `accepted`, `rejected` or `unanswered`.
        public var state: String
        /// `care-of` or `home-address`, where it is accepted.
        public var tunnel: String?
        /// The code of its reply, where it is rejected.
        public var code: UInt8?
    }

    /// An agent that is heard.
    public struct Agent: Codable, Hashable, Sendable {
        /// The source of its advertisements.
        public var address: String
        /// As `02:00:00:00:00:01`.
        public var linkLayerAddress: String
        /// On which it is heard.
        public var interface: String
        /// Absent where it is no foreign agent.
        public var careOfAddress: String?
        /// Whether registrations go by way of it.
        public var isInUse: Bool
        /// Whether it takes no more nodes.
        public var isBusy: Bool
        /// Whether it says that registering with it is required.
        public var requiresRegistration: Bool
        /// The longest that it grants, in seconds; absent where it is for ever.
        public var registrationLifetime: UInt16?
        /// In seconds, until it is forgotten unless it is heard again.
        public var remaining: Int64
        /// When it is.
        fileprivate var expiry: ContinuousClock.Instant = .now

        private enum CodingKeys: String, CodingKey {
            case address, linkLayerAddress, interface, careOfAddress, isInUse, isBusy, requiresRegistration
            case registrationLifetime, remaining
        }
    }

    /// What the node is about, such as `registered`.
    public var state: String
    /// In seconds, for how long it has been that.
    public var stateAge: Int64?
    /// What has ended the registration, or stands in its way, for people; absent where there is one.
    public var reason: String?
    /// In seconds, how long ago that was.
    public var reasonAge: Int64?
    /// When both began.
    private var stateStart: ContinuousClock.Instant?
    private var reasonStart: ContinuousClock.Instant?
    /// Absent while none is known, as what follows.
    public var homeAddress: String?
    /// Which the next request is for.
    public var homeAgent: String?
    /// Of this host, or the foreign agent's.
    public var careOfAddress: String?
    /// Of the agent that registrations go by way of; absent where they go to the home agent.
    public var agent: String?
    /// Which has it.
    public var interface: String?
    /// `ip-in-ip`, `gre` or `minimal`; absent where there is no tunnel.
    public var encapsulation: String?
    /// The care-of address that the tunnel leads to: where the node was, until it has registered where it is.
    public var tunnelEnd: String?
    /// Whether the tunnel is in UDP; absent where there is none.
    public var udp: Bool?
    /// In seconds, as granted; absent where there is no registration, or it is for ever.
    public var lifetime: UInt16?
    /// In seconds, until the registration ends.
    public var remaining: Int64?
    /// When it ends.
    private var expiry: ContinuousClock.Instant?
    /// All that are wanted.
    public var prefixes: [Prefix]
    /// The code of the last reply.
    public var code: UInt8?
    /// What that code says.
    public var explanation: String?
    /// In seconds.
    public var keepaliveInterval: Int64?
    /// Whether mooringd is connected.
    public var isForwarderConnected: Bool
    /// Messages that were discarded, by reason.
    public var discarded: [String: Int]
    /// Datagrams that came faster than they were taken.
    public var droppedDatagrams: Int
    /// All agents that are heard.
    public var agents: [Agent]
    /// Of agent discovery: what was heard and sent, and advertisements that were not believed, by reason.
    public var discovery: [String: Int]

    private enum CodingKeys: String, CodingKey {
        case state, stateAge, reason, reasonAge, tunnelEnd, homeAddress, homeAgent, careOfAddress, interface,
            encapsulation, udp, lifetime, remaining, prefixes
        case code, explanation, keepaliveInterval, isForwarderConnected, discarded, droppedDatagrams, agent, agents
        case discovery
    }

    init(
        _ status: MobileNodeStatus, discarded: [MobileNodeDiscard: Int], droppedDatagrams: Int,
        isForwarderConnected: Bool, expiry: ContinuousClock.Instant?, agents: [MobileNodeStatus.Agent],
        start: ContinuousClock.Instant, discovery: [String: Int]
    ) {
        state = status.phase.rawValue
        stateStart = start + status.phaseSince
        reason = status.hindrance?.description
        reasonStart = status.hindranceSince.map { start + $0 }
        tunnelEnd = status.tunnel?.careOfAddress.description
        homeAddress = status.homeAddress?.description
        homeAgent = status.homeAgent?.description
        careOfAddress = status.careOfAddress?.description
        interface = status.interface
        encapsulation = status.tunnel?.encapsulation.rawValue
        udp = status.tunnel.map { $0.udp != nil }
        lifetime = status.lifetime.flatMap { $0.isInfinite ? nil : $0.seconds }
        self.expiry = expiry
        prefixes = status.prefixes.map { Prefix($0) }
        code = status.lastCode?.rawValue
        explanation = status.lastCode?.explanation
        keepaliveInterval = status.keepaliveInterval?.components.seconds
        self.isForwarderConnected = isForwarderConnected
        self.discarded = Dictionary(uniqueKeysWithValues: discarded.map { ($0.key.name, $0.value) })
        self.droppedDatagrams = droppedDatagrams
        self.agents = agents.map { Agent($0, start: start) }
        agent = self.agents.first(where: \.isInUse)?.address
        self.discovery = discovery
    }
}

extension StatusReport.Prefix {
    fileprivate init(_ wanted: MobileNodeStatus.Prefix) {
        prefix = wanted.prefix.description
        switch wanted.outcome {
        case .pending: state = "pending"
        case .unanswered: state = "unanswered"
        case .accepted(let tunnel): (state, self.tunnel) = ("accepted", tunnel.rawValue)
        case .rejected(let code): (state, self.code) = ("rejected", code.rawValue)
        }
    }
}

extension StatusReport.Agent {
    /// - Parameter start: from which the node counts.
    fileprivate init(_ agent: MobileNodeStatus.Agent, start: ContinuousClock.Instant) {
        address = agent.location.address.description
        linkLayerAddress = agent.location.linkLayerAddress.description
        interface = agent.location.interface
        careOfAddress = agent.careOfAddress?.description
        isInUse = agent.isInUse
        isBusy = agent.flags.contains(.busy)
        requiresRegistration = agent.flags.contains(.registrationRequired)
        registrationLifetime = agent.registrationLifetime.isInfinite ? nil : agent.registrationLifetime.seconds
        remaining = 0
        expiry = start + agent.expiry
    }
}

extension StatusReport {
    /// One JSON object, as of now.
    public func json() -> [UInt8] {
        var report = self
        for index in report.agents.indices {
            let left = ContinuousClock.now.duration(to: report.agents[index].expiry)
            report.agents[index].remaining = max(left.components.seconds, 0)
        }
        report.stateAge = stateStart.map(\.secondsAgo)
        report.reasonAge = reasonStart.map(\.secondsAgo)
        report.remaining = expiry.map { max(ContinuousClock.now.duration(to: $0).components.seconds, 0) }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(report) else { preconditionFailure("it has strings and numbers alone") }
        return Array(data)
    }

    /// Reads what `json` made.
    public init(json bytes: [UInt8]) throws { self = try JSONDecoder().decode(Self.self, from: Data(bytes)) }

    /// For people, a line each.
    public func lines() -> [String] {
        var lines = ["state            \(state)"]
        func add(_ name: String, _ value: String?) {
            guard let value else { return }
            lines.append(name + String(repeating: " ", count: 17 - name.count) + value)
        }
        add("since", stateAge.map { "\($0) s ago" })
        add("reason", reason.map { "\($0)\(reasonAge.map { ", \($0) s ago" } ?? "")" })
        add("home address", homeAddress)
        add("home agent", homeAgent)
        add("care-of address", careOfAddress.map { "\($0)\(interface.map { " on \($0)" } ?? "")" })
        for agent in agents {
            let marks = [
                agent.careOfAddress.map { "care-of address \($0)" } ?? "home agent", agent.isInUse ? "in use" : nil,
                agent.isBusy ? "busy" : nil, agent.requiresRegistration ? "requires registration" : nil,
                "forgotten in \(agent.remaining) s",
            ]
            add(
                "agent",
                "\(agent.address) at \(agent.linkLayerAddress) on \(agent.interface), "
                    + marks.compactMap(\.self).joined(separator: ", "))
        }
        let isBehind = tunnelEnd != nil && (state != "registered" || tunnelEnd != careOfAddress)
        add(
            "tunnel",
            encapsulation.map {
                "\($0)\(udp == true ? " in UDP" : "")\(isBehind ? ", still to \(tunnelEnd ?? "")" : "")"
            })
        add("lifetime", lifetime.map { "\($0) s\(remaining.map { ", \($0) s left" } ?? "")" })
        for prefix in prefixes {
            let detail = prefix.tunnel.map { " by \($0)" } ?? prefix.code.map { " with code \($0)" } ?? ""
            add("prefix", "\(prefix.prefix) \(prefix.state)\(detail)")
        }
        add("last reply", code.map { "code \($0): \(explanation ?? "")" })
        add("keepalive", keepaliveInterval.map { "every \($0) s" })
        add("mooringd", isForwarderConnected ? "connected" : "not connected")
        for (reason, count) in discarded.sorted(by: { $0.key < $1.key }) { add("discarded", "\(count) \(reason)") }
        for (name, count) in discovery.sorted(by: { $0.key < $1.key }) { add("discovery", "\(count) \(name)") }
        if droppedDatagrams > 0 { add("dropped", "\(droppedDatagrams) datagrams that came too fast") }
        return lines
    }
}

extension ContinuousClock.Instant {
    fileprivate var secondsAgo: Int64 { max(duration(to: .now).components.seconds, 0) }
}
