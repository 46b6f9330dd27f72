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
            3.3). With neither --bindings nor --security, both. Ends with mooringd, or by an interrupt.

            EXAMPLES:
              mooring watch
              mooring watch --security --json | tee security.log
            """)

    @OptionGroup var common: ClientOptions

    @Flag(help: "Print changes of bindings.")
    var bindings = false

    @Flag(help: "Print security exceptions.")
    var security = false

    func run() async throws {
        let client = try await common.connect()
        let isAll = !bindings && !security
        for try await event in try await client.events(bindings: bindings || isAll, security: security || isAll) {
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

    let time: UInt64
    var binding: BindingChange?
    var security: Security?
    var lost: UInt64?

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

extension ControlBoundPrefix {
    fileprivate var text: String? { IPv6Address(networkOrder: address).map { "\($0)/\(length)" } }
}
