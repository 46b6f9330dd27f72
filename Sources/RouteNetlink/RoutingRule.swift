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
    /// Only packets to this prefix, of the rule's family; nil for all.
    public var destination: IPPrefix?
    /// Only packets from this prefix, of the rule's family; nil for all.
    public var source: IPPrefix?
    /// Routes whose prefix is as long or shorter don't count, and the next rule is asked; nil where all count. 0 leaves out
    /// default routes.
    public var suppressedPrefixLength: UInt32?
    /// The table asked; nil for a listed rule that does something else (unreachable, goto).
    public var table: RouteTable?
    /// Who made it.
    public var origin: RouteOrigin
    /// Whether a listed rule has conditions or modifiers beyond these. Only read.
    public var hasOtherConditions = false

    /// A rule.
    public init(
        family: AddressFamily, priority: UInt32, ipProtocol: UInt8? = nil, destinationPort: UInt16? = nil,
        inputInterface: String? = nil, destination: IPPrefix? = nil, source: IPPrefix? = nil,
        suppressedPrefixLength: UInt32? = nil, table: RouteTable, origin: RouteOrigin
    ) {
        precondition(destination == nil || destination?.family == family, "a destination of the other family")
        precondition(source == nil || source?.family == family, "a source of the other family")
        self.family = family
        self.priority = priority
        self.ipProtocol = ipProtocol
        self.destinationPort = destinationPort
        self.inputInterface = inputInterface
        self.destination = destination
        self.source = source
        self.suppressedPrefixLength = suppressedPrefixLength
        self.table = table
        self.origin = origin
    }

    /// Whether it concerns every packet, and all routes of its table.
    public var isUnconditional: Bool {
        ipProtocol == nil && destinationPort == nil && inputInterface == nil && !hasSelectors
    }

    /// Whether there are conditions or modifiers beside protocol, port and interface.
    public var hasSelectors: Bool {
        destination != nil || source != nil || suppressedPrefixLength != nil || hasOtherConditions
    }

    /// As `ip rule add` takes it, without the origin.
    public var description: String {
        var text = "pref \(priority)"
        if let source { text += " from \(source)" }
        if let destination { text += " to \(destination)" }
        if let inputInterface { text += " iif \(inputInterface)" }
        if let ipProtocol { text += " ipproto \(ipProtocol)" }
        if let destinationPort { text += " dport \(destinationPort)" }
        if let table { text += " lookup \(table)" }
        if let suppressedPrefixLength { text += " suppress_prefixlength \(suppressedPrefixLength)" }
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
        destination = try Self.prefix(FRA_DST, header.dst_len, family, attributes)
        source = try Self.prefix(FRA_SRC, header.src_len, family, attributes)
        let suppressed = try attributes.number(Int(FRA_SUPPRESS_PREFIXLEN), as: UInt32.self)
        suppressedPrefixLength = suppressed == .max ? nil : suppressed
        let number = try attributes.number(Int(FRA_TABLE), as: UInt32.self) ?? UInt32(header.table)
        table = header.action == UInt8(FR_ACT_TO_TBL) ? RouteTable(rawValue: number) : nil
        origin = RouteOrigin(rawValue: try attributes.number(Int(FRA_PROTOCOL), as: UInt8.self) ?? 0)
        let otherConditions = try Self.hasOtherConditions(header, attributes)
        hasOtherConditions = otherConditions || (ports != nil && destinationPort == nil)
    }

    /// Of an attribute with its length in the header; nil for a length of 0.
    private static func prefix(
        _ attribute: some BinaryInteger, _ length: UInt8, _ family: AddressFamily, _ attributes: NetlinkAttributes
    ) throws(RouteError) -> IPPrefix? {
        guard length != 0 else { return nil }
        guard let address = try attributes.address(Int(attribute), family: family),
            let prefix = IPPrefix(address: address, length: length)
        else { throw .malformed("a rule of a prefix of \(length) bits") }
        return prefix
    }

    /// FRA_DPORT_MASK, which older headers lack: kernels from 6.15 tell of a single port that all its bits count.
    private static let destinationPortMask = 29

    /// Whatever this type does not know, also of kernels to come, counts as a condition.
    private static func hasOtherConditions(
        _ header: fib_rule_hdr, _ attributes: NetlinkAttributes
    ) throws(RouteError) -> Bool {
        let known = [
            FRA_PRIORITY, FRA_IP_PROTO, FRA_DPORT_RANGE, FRA_IIFNAME, FRA_DST, FRA_SRC, FRA_SUPPRESS_PREFIXLEN,
            FRA_TABLE,
            FRA_PROTOCOL, FRA_PAD,
        ].map { Int($0) }
        let portMask = try attributes.number(destinationPortMask, as: UInt16.self) ?? .max
        return header.tos != 0 || header.flags & UInt32(FIB_RULE_INVERT) != 0
            || portMask != .max || attributes.types.contains { !known.contains($0) && $0 != destinationPortMask }
    }

    fileprivate func request(type: Int, flags: Int32) -> NetlinkRequest {
        var body = fib_rule_hdr()
        body.family = family.number
        body.action = UInt8(FR_ACT_TO_TBL)
        body.dst_len = destination?.length ?? 0
        body.src_len = source?.length ?? 0
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
        if let destination, destination.length > 0 { request.attribute(Int(FRA_DST), destination.address) }
        if let source, source.length > 0 { request.attribute(Int(FRA_SRC), source.address) }
        if let suppressedPrefixLength { request.attribute(Int(FRA_SUPPRESS_PREFIXLEN), suppressedPrefixLength) }
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

    /// Deletes the first rule of just this priority, table, origin and, where given, protocol, port, interface, destination,
    /// source and suppressed length. Where there is none the error's reason is `notFound`.
    public mutating func delete(_ rule: RoutingRule) throws(RouteError) {
        try perform(rule.request(type: RTM_DELRULE, flags: 0), doing: "delete the rule \(rule)")
    }
}
