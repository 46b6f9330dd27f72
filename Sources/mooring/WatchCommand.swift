import ArgumentParser
import Bindings
import ControlProtocol
import FoundationEssentials
import Wire

struct WatchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Print what happens, as it happens.",
        discussion: """
            Bindings that come, change, go and expire, and packets that their sender had no right to send (RFC 5454,
            3.3). With none of --bindings, --security and --punts, these two. Ends with mooringd, or by an interrupt.

            With --punts, packets that mooringd hands to the control plane: registrations, and what nodes say of the
            multicast groups that they listen to. While anybody watches for them they count as punted, otherwise as
            dropped (punt-unattended). With --json they are there in full.

            EXAMPLES:
              mooring watch
              mooring watch --security --json | tee security.log
              mooring watch --punts
              mooring watch --punts --json | jq -r .punt.packet
            """)

    @OptionGroup var common: ClientOptions

    @Flag(help: "Print changes of bindings.")
    var bindings = false

    @Flag(help: "Print security exceptions.")
    var security = false

    @Flag(help: "Print packets for the control plane.")
    var punts = false

    func run() async throws {
        let client = try await common.connect()
        let isAll = !bindings && !security && !punts
        let events = try await client.events(
            bindings: bindings || isAll, security: security || isAll, punts: punts)
        for try await event in events {
            if common.json {
                if let report = EventReport(event) { Output.standard.json(report) }
            } else if let text = event.text {
                Output.standard.line("\(event.timeText)  \(text)")
            }
            Output.standard.flush()
        }
    }
}

extension ControlEvent {
    fileprivate var timeText: String {
        Date(timeIntervalSince1970: Double(time) / 1000).formatted(
            Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }

    /// The event in words; nil for one that this version does not know.
    fileprivate var text: String? {
        switch body {
        case .binding(let event):
            guard let name = event.change.name else { return nil }
            let prefixes = event.binding.prefixes.compactMap(\.text).joined(separator: ", ")
            return "\(name) \(event.binding.id) at \(IPv4Address(rawValue: event.binding.careOfAddress))"
                + (prefixes.isEmpty ? "" : " with \(prefixes)")
        case .security(let event):
            let source = IPv6Address(networkOrder: event.innerSource)
            return "security exception \(event.reason): from \(IPv4Address(rawValue: event.outerSource))"
                + (source.map { ", inner source \($0)" } ?? "")
                + (event.binding.isEmpty ? "" : ", which is \(event.binding)'s")
                + (event.suppressed == 0 ? "" : " (and \(event.suppressed) before it that were left out)")
        case .lost(let count): return "\(countText(count, "event")) lost here, for this was read too slowly"
        case .punt(let event):
            let homeAddress = event.hasHomeAddress ? ", home address \(IPv4Address(rawValue: event.homeAddress))" : ""
            return "punt \(event.reason.name): from \(IPv4Address(rawValue: event.outerSource))\(homeAddress)"
                + (event.binding.isEmpty ? "" : ", which is \(event.binding)'s")
                + ", \(countText(event.packet.count, "byte"))"
        case .lostPunts(let count): return "\(countText(count, "punt")) lost here, for this was read too slowly"
        case nil: return nil
        }
    }
}

/// An event as JSON. `time` is in milliseconds since 1970.
private struct EventReport: Encodable {
    struct BindingChange: Encodable {
        let change: String
        let binding: Binding
    }

    struct Security: Encodable {
        let reason: String
        let outerSource: String
        let innerSource: String?
        let binding: String?
        let suppressed: UInt64
    }

    struct Punt: Encodable {
        let reason: String
        let outerSource: String
        let homeAddress: String?
        let binding: String?
        let length: Int
        /// Its bytes, in hexadecimal.
        let packet: String
    }

    let time: UInt64
    var binding: BindingChange?
    var security: Security?
    var lost: UInt64?
    var punt: Punt?
    var lostPunts: UInt64?

    /// Nil for an event that this version does not know.
    init?(_ event: ControlEvent) {
        time = event.time
        switch event.body {
        case .binding(let event):
            guard let name = event.change.name, let binding = try? Binding(event.binding) else { return nil }
            self.binding = BindingChange(change: name, binding: binding)
        case .security(let event):
            security = Security(
                reason: event.reason, outerSource: IPv4Address(rawValue: event.outerSource).description,
                innerSource: IPv6Address(networkOrder: event.innerSource)?.description,
                binding: event.binding.isEmpty ? nil : event.binding, suppressed: event.suppressed)
        case .lost(let count): lost = count
        case .punt(let event):
            punt = Punt(
                reason: event.reason.name, outerSource: IPv4Address(rawValue: event.outerSource).description,
                homeAddress: event.hasHomeAddress ? IPv4Address(rawValue: event.homeAddress).description : nil,
                binding: event.binding.isEmpty ? nil : event.binding, length: event.packet.count,
                packet: hexadecimalText(event.packet))
        case .lostPunts(let count): lostPunts = count
        case nil: return nil
        }
    }
}

extension ControlBindingEvent.Change {
    /// Nil for a change that this version does not know.
    fileprivate var name: String? {
        switch self {
        case .added: "added"
        case .replaced: "replaced"
        case .removed: "removed"
        case .expired: "expired"
        case .unspecified, .UNRECOGNIZED: nil
        }
    }
}

extension ControlPuntEvent.Reason {
    /// A packet for a reason that this version does not know is a packet all the same.
    fileprivate var name: String {
        switch self {
        case .mobileIp: "mobile-ip"
        case .multicastListener: "multicast-listener"
        case .unspecified: "unspecified"
        case .UNRECOGNIZED(let number): "reason-\(number)"
        }
    }
}

extension ControlBoundPrefix {
    fileprivate var text: String? { IPv6Address(networkOrder: address).map { "\($0)/\(length)" } }
}
