// Policy rules: which table is asked for which packets, in the order of their priorities (ip-rule(8),
// linux/fib_rules.h, RTM_GETRULE, RTM_NEWRULE and RTM_DELRULE). Among rules of one priority the older comes first.

import CLinuxNet
import Glibc
import Wire

/// A policy rule that looks packets up in a table.
public struct RoutingRule: Sendable, Hashable, CustomStringConvertible {
    /// Of the packets it concerns.
    public var family: AddressFamily
    /// The smaller is asked first.
    public var priority: UInt32
    /// Only packets of this protocol number; nil for all.
    public var ipProtocol: UInt8?
    /// Only packets to this port; nil for all. Beside `ipProtocol`, that of UDP, TCP or another that has ports.
    public var destinationPort: UInt16?
    /// Only packets that came in by the device of this name; nil for all.
    public var inputInterface: String?
    /// The table asked; nil for a listed rule that does something else (unreachable, goto).
    public var table: RouteTable?
    /// Who made it.
    public var origin: RouteOrigin
    /// Whether a listed rule has conditions or modifiers beyond these. Only read.
    public var hasOtherConditions = false

    /// A rule.
    public init(
        family: AddressFamily, priority: UInt32, ipProtocol: UInt8? = nil, destinationPort: UInt16? = nil,
        inputInterface: String? = nil, table: RouteTable, origin: RouteOrigin
    ) {
        self.family = family
        self.priority = priority
        self.ipProtocol = ipProtocol
        self.destinationPort = destinationPort
        self.inputInterface = inputInterface
        self.table = table
        self.origin = origin
    }

    /// Whether it concerns every packet.
    public var isUnconditional: Bool {
        ipProtocol == nil && destinationPort == nil && inputInterface == nil && !hasOtherConditions
    }

    /// As `ip rule add` takes it, without the origin.
    public var description: String {
        var text = "pref \(priority)"
        if let inputInterface { text += " iif \(inputInterface)" }
        if let ipProtocol { text += " ipproto \(ipProtocol)" }
        if let destinationPort { text += " dport \(destinationPort)" }
        if let table { text += " lookup \(table)" }
        return text
    }

    init?(_ message: NetlinkMessage) throws(RouteError) {
        guard message.type == RTM_NEWRULE else { return nil }
        let (header, attributes) = try message.content(fib_rule_hdr.self)
        guard let family = AddressFamily(number: header.family) else { return nil }
        self.family = family
        // The kernel leaves the attribute out for 0.
        priority = try attributes.number(Int(FRA_PRIORITY), as: UInt32.self) ?? 0
        ipProtocol = try attributes.number(Int(FRA_IP_PROTO), as: UInt8.self)
        let ports = try attributes.number(Int(FRA_DPORT_RANGE), as: PortRange.self)
        destinationPort = ports?.single
        inputInterface = attributes.text(Int(FRA_IIFNAME))
        let number = try attributes.number(Int(FRA_TABLE), as: UInt32.self) ?? UInt32(header.table)
        table = header.action == UInt8(FR_ACT_TO_TBL) ? RouteTable(rawValue: number) : nil
        origin = RouteOrigin(rawValue: try attributes.number(Int(FRA_PROTOCOL), as: UInt8.self) ?? 0)
        let otherConditions = try Self.hasOtherConditions(header, attributes)
        hasOtherConditions = otherConditions || (ports != nil && destinationPort == nil)
    }

    /// FRA_DPORT_MASK, which older headers lack: kernels from 6.15 tell of a single port that all its bits count.
    private static let destinationPortMask = 29

    /// Whatever this type does not know, also of kernels to come, counts as a condition.
    private static func hasOtherConditions(
        _ header: fib_rule_hdr, _ attributes: NetlinkAttributes
    ) throws(RouteError) -> Bool {
        let known = [FRA_PRIORITY, FRA_IP_PROTO, FRA_DPORT_RANGE, FRA_IIFNAME, FRA_TABLE, FRA_PROTOCOL, FRA_PAD]
            .map { Int($0) }
        let suppressor = Int(FRA_SUPPRESS_PREFIXLEN)
        let suppressed = try attributes.number(suppressor, as: UInt32.self) ?? .max
        let portMask = try attributes.number(destinationPortMask, as: UInt16.self) ?? .max
        return header.dst_len != 0 || header.src_len != 0 || header.tos != 0
            || header.flags & UInt32(FIB_RULE_INVERT) != 0 || suppressed != .max || portMask != .max
            || attributes.types.contains { !known.contains($0) && $0 != suppressor && $0 != destinationPortMask }
    }

    fileprivate func request(type: Int, flags: Int32) -> NetlinkRequest {
        var body = fib_rule_hdr()
        body.family = family.number
        body.action = UInt8(FR_ACT_TO_TBL)
        let table = table ?? .main
        body.table = table.rawValue < 256 ? UInt8(table.rawValue) : UInt8(RT_TABLE_UNSPEC.rawValue)
        var request = NetlinkRequest(type: type, flags: flags, body: body)
        request.attribute(Int(FRA_PRIORITY), priority)
        request.attribute(Int(FRA_TABLE), table.rawValue)
        request.attribute(Int(FRA_PROTOCOL), origin.rawValue)
        if let ipProtocol { request.attribute(Int(FRA_IP_PROTO), ipProtocol) }
        if let destinationPort {
            request.attribute(Int(FRA_DPORT_RANGE), PortRange(start: destinationPort, end: destinationPort))
        }
        if let inputInterface { request.attribute(Int(FRA_IIFNAME), text: inputInterface) }
        return request
    }
}

/// Of FRA_DPORT_RANGE: struct fib_rule_port_range, two numbers in the machine's order.
struct PortRange: BitwiseCopyable {
    let start: UInt16
    let end: UInt16

    /// Nil where there is more than one.
    var single: UInt16? { start == end ? start : nil }
}

extension RouteSocket {
    /// The rules of a family, in the order in which they are asked.
    public mutating func rules(_ family: AddressFamily) throws(RouteError) -> [RoutingRule] {
        var body = fib_rule_hdr()
        body.family = family.number
        let request = NetlinkRequest(type: RTM_GETRULE, flags: 0, body: body)
        return try dump(request, doing: "list the policy rules") { message throws(RouteError) in
            guard let rule = try RoutingRule(message), rule.family == family else { return nil }
            return rule
        }
    }

    /// Adds a rule, behind those of its priority. Where it stands already the error's reason is `alreadyExists`.
    public mutating func add(_ rule: RoutingRule) throws(RouteError) {
        try perform(
            rule.request(type: RTM_NEWRULE, flags: NLM_F_CREATE | NLM_F_EXCL), doing: "add the rule \(rule)")
    }

    /// Deletes the first rule of just this priority, table, origin and, where given, protocol, port and interface. Where
    /// there is none the error's reason is `notFound`.
    public mutating func delete(_ rule: RoutingRule) throws(RouteError) {
        try perform(rule.request(type: RTM_DELRULE, flags: 0), doing: "delete the rule \(rule)")
    }
}
