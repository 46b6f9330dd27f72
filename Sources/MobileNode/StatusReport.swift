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

    /// What the node is about, such as `registered`.
    public var state: String
    /// Absent while none is known, as what follows.
    public var homeAddress: String?
    /// Which the next request is for.
    public var homeAgent: String?
    /// Of this host.
    public var careOfAddress: String?
    /// Which has it.
    public var interface: String?
    /// `ip-in-ip`, `gre` or `minimal`; absent where there is no tunnel.
    public var encapsulation: String?
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

    private enum CodingKeys: String, CodingKey {
        case state, homeAddress, homeAgent, careOfAddress, interface, encapsulation, udp, lifetime, remaining, prefixes
        case code, explanation, keepaliveInterval, isForwarderConnected, discarded, droppedDatagrams
    }

    init(
        _ status: MobileNodeStatus, discarded: [MobileNodeDiscard: Int], droppedDatagrams: Int,
        isForwarderConnected: Bool, expiry: ContinuousClock.Instant?
    ) {
        state = status.phase.rawValue
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

extension StatusReport {
    /// One JSON object, as of now.
    public func json() -> [UInt8] {
        var report = self
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
        add("home address", homeAddress)
        add("home agent", homeAgent)
        add("care-of address", careOfAddress.map { "\($0)\(interface.map { " on \($0)" } ?? "")" })
        add("tunnel", encapsulation.map { "\($0)\(udp == true ? " in UDP" : "")" })
        add("lifetime", lifetime.map { "\($0) s\(remaining.map { ", \($0) s left" } ?? "")" })
        for prefix in prefixes {
            let detail = prefix.tunnel.map { " by \($0)" } ?? prefix.code.map { " with code \($0)" } ?? ""
            add("prefix", "\(prefix.prefix) \(prefix.state)\(detail)")
        }
        add("last reply", code.map { "code \($0): \(explanation ?? "")" })
        add("keepalive", keepaliveInterval.map { "every \($0) s" })
        add("mooringd", isForwarderConnected ? "connected" : "not connected")
        for (reason, count) in discarded.sorted(by: { $0.key < $1.key }) { add("discarded", "\(count) \(reason)") }
        if droppedDatagrams > 0 { add("dropped", "\(droppedDatagrams) datagrams that came too fast") }
        return lines
    }
}
