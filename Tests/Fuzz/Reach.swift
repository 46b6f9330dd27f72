// How far a run came: in which counters packets ended, and which views took and refused them. A fuzzer whose packets all
// die at the first check finds nothing; here it is seen.

import Forwarding
import Wire

/// Counts of all worlds and views.
struct Reach {
    /// Reasons that no packet gets from the forwarder: the kernel's own; that of other workers; those of views whose
    /// refusal means something else there (whether an ICMPv6 error may be sent); and a UDP header that is cut off, which is
    /// no tunnel's.
    static let unreachable: Set<DropReason> = [
        .receiveFailed, .transmitFailed, .workerQueueFull, .icmpv6Truncated, .udpTruncated,
    ]
    /// What the views refuse packets for.
    static let refusals: Set<DropReason> = [
        .notIP, .ipv4Truncated, .ipv4HeaderLength, .ipv4TotalLength, .ipv4Checksum, .ipv6Truncated, .ipv6PayloadLength,
        .ipv6ExtensionHeader, .udpTruncated, .udpLength, .icmpv4Malformed, .icmpv6Truncated, .greTruncated, .greVersion,
        .greRouting, .greFlags, .greChecksum, .minimalTruncated, .minimalChecksum, .mobileTunnelDataTruncated,
    ]

    /// By name, in the order in which they are shown.
    private(set) var ends: [(name: String, count: UInt64)] = []
    private(set) var views: [(name: String, count: UInt64)] = []

    init() {
        add(Counters())
        let probe = ViewProbe()
        add(probe)
    }

    mutating func add(_ counters: Counters) {
        Self.add(
            [
                ("transmitted to the home side", counters.transmitted.home),
                ("transmitted to the access side", counters.transmitted.access),
                ("generated to the home side", counters.generated.home),
                ("generated to the access side", counters.generated.access),
                ("absorbed", counters.absorbed), ("punted", counters.punted),
                ("errors suppressed", counters.suppressedErrors),
                ("reassembly failed", counters.reassemblyFailures),
            ] + DropReason.allCases.map { ("dropped as \($0.name)", counters[$0]) }, to: &ends)
    }

    mutating func add(_ probe: borrowing ViewProbe) {
        var counts: [(String, UInt64)] = []
        for view in ViewProbe.View.allCases { counts.append(("accepted as \(view)", probe.accepted(view))) }
        for reason in DropReason.allCases { counts.append(("refused as \(reason.name)", probe.refusals(reason))) }
        Self.add(counts, to: &views)
    }

    private static func add(_ counts: [(String, UInt64)], to list: inout [(name: String, count: UInt64)]) {
        if list.isEmpty { list = counts.map { ($0.0, 0) } }
        for (index, count) in counts.enumerated() { list[index].count += count.1 }
    }

    /// What packets can reach and none did.
    var missing: [String] {
        var exempt = Set(Self.unreachable.map { "dropped as \($0.name)" })
        exempt.formUnion(DropReason.allCases.filter { !Self.refusals.contains($0) }.map { "refused as \($0.name)" })
        return (ends + views).filter { $0.count == 0 && !exempt.contains($0.name) }.map(\.name)
    }

    /// What was thought to be out of reach and is not: the lists above are then wrong.
    var unexpected: [String] {
        let impossible = Set(Self.unreachable.map { "dropped as \($0.name)" })
            .union(DropReason.allCases.filter { !Self.refusals.contains($0) }.map { "refused as \($0.name)" })
        return (ends + views).filter { $0.count > 0 && impossible.contains($0.name) }.map(\.name)
    }
}
