// `mooring counters --explain`: every counter, where on the way of a packet it counts, and what to do about it. The page
// docs/counters.md is this text, so it is Markdown that can be read on a terminal as well; lines are kept short.

import Wire

/// The counters explained, for people and as JSON.
enum CounterExplanation {
    /// The numbers are those of `PacketStation`; the kernel, which is none of ours, has the next.
    private static let picture = """
         home side                              mooringd                                   access side
                │ 7                                                                             7 │
                ▼                                                                                 ▼
           TUN "home" ──► 1 receive ─► 2 classify ─► 3 look up ─► 4 encapsulate ─► 6 complete ──► TUN "access"
           TUN "home" ◄── 6 complete ◄─ 5 decapsulate ◄─ 3 look up ◄─ 2 classify ◄─ 1 receive ◄── TUN "access"

                2, 3, 4 answer in place: echo reply, no route, Packet Too Big; any of 1 to 6 may drop(reason)
                2, 5 punt to the control plane, whose own packets leave by 6
        """

    private static let opening = """
        # What the counters mean

        This page is what `mooring counters --explain` prints. DO NOT EDIT it; CONTRIBUTING.md says how it is made anew.

        ## The way of a packet, with numbered places

        ```
        \(picture)
        ```

        Every packet ends in exactly one counter: received + generated = transmitted + punted + absorbed + dropped.

        | counter | place | counts |
        |---|---|---|
        | received | 1 | packets that were read from a device, by side |
        | generated | 2 to 6 | made here: ICMP errors and answers, copies, fragments, packets of the control plane |
        | transmitted | 6 | packets that the kernel took, by side |
        | punted | 2, 5 | packets handed to the control plane |
        | absorbed | 2, 5 | packets consumed on purpose, such as echo requests that were answered |
        | dropped | each | the sum of the reasons below |
        | suppressed errors | 3, 4 | ICMPv6 errors that a limit or a missing source forbade; no packets, so outside the sum |
        | reassembly failures | 2 | datagrams that were never whole, whose fragments are among the absorbed |
        | punts lost | – | of the punted, those that no client got: none watched any more, or none had room |
        """

    private static let kernel = """
        ## 7 the kernel

        What the kernel drops before 1 or behind 6 never comes to mooringd, and none of its counters has it. Look there
        when received is smaller than what was sent, or less arrives than transmitted says:

        - queue of a device full: `ip -s link show` of the device, its column of dropped packets
        - no route, martian source, reverse path filter: `nstat -az` and `mooringd --check`
        - packet filters: `nft list ruleset`, its counters
        """

    /// The whole page, as Markdown.
    static var page: String {
        var parts = [opening]
        for station in PacketStation.allCases {
            parts.append("## \(station.rawValue) \(station.name)")
            parts += reasons(at: station).map(section)
        }
        return (parts + [kernel]).joined(separator: "\n\n") + "\n"
    }

    private static func reasons(at station: PacketStation) -> [DropReason] {
        DropReason.allCases.filter { $0.circumstances.station == station }
    }

    private static func section(_ reason: DropReason) -> String {
        let circumstances = reason.circumstances
        var lines = ["### \(reason.name)", "", reason.explanation, ""]
        lines.append("- from: \(circumstances.origin == .either ? "either side" : "the \(circumstances.origin) side")")
        if reason.isSecurityException { lines.append("- a security exception: logged and sent to `mooring watch`") }
        lines.append("- rests on: \(circumstances.source ?? "the state of the host")")
        lines.append("- to do: \(circumstances.advice)")
        return lines.joined(separator: "\n")
    }

    /// The reasons as JSON, in the order of the page.
    static var report: [Reason] { PacketStation.allCases.flatMap { reasons(at: $0).map(Reason.init) } }

    struct Reason: Encodable {
        let name: String
        let explanation: String
        let place: UInt8
        let placeName: String
        let side: String
        let securityException: Bool
        let source: String?
        let advice: String

        init(_ reason: DropReason) {
            let circumstances = reason.circumstances
            name = reason.name
            explanation = reason.explanation
            place = circumstances.station.rawValue
            placeName = circumstances.station.name
            side = circumstances.origin.rawValue
            securityException = reason.isSecurityException
            source = circumstances.source
            advice = circumstances.advice
        }
    }
}
