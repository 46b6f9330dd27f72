import ArgumentParser
import Bindings
import ControlProtocol

struct BindingCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "binding", abstract: "Show and change bindings: which prefixes are tunnelled to which node.",
        discussion: """
            EXAMPLES:
              mooring binding list
              mooring binding put mn1 --care-of 203.0.113.9 --prefix 2001:db8:1::/64
            """,
        subcommands: [
            BindingLoadCommand.self, BindingPutCommand.self, BindingRemoveCommand.self, BindingListCommand.self,
            BindingShowCommand.self,
        ])
}

/// What a change did, as JSON.
struct ChangeReport: Encodable {
    let added: UInt32
    let replaced: UInt32
    let removed: UInt32
    /// Those that were there as they were put; nil where that was not asked.
    let kept: UInt32?
    /// Of memberships in groups; nil where none was to change.
    let joined: UInt32?
    let left: UInt32?

    init(_ changed: ControlBindingsChanged, hasGroups: Bool = false, hasKept: Bool = false) {
        added = changed.added
        replaced = changed.replaced
        removed = changed.removed
        kept = hasKept ? changed.kept : nil
        joined = hasGroups ? changed.joined : nil
        left = hasGroups ? changed.left : nil
    }
}

/// A binding and its traffic as JSON: the binding as in a file, and what the daemon knows beside it.
struct BindingReport: Encodable {
    private enum CodingKeys: String, CodingKey { case toNode, fromNode, revision, owner }

    private struct Traffic: Encodable {
        let packets: UInt64
        let bytes: UInt64
    }

    let binding: Binding
    let state: ControlBindingState

    init(_ state: ControlBindingState) throws(BindingError) {
        binding = try Binding(state.binding)
        self.state = state
    }

    func encode(to encoder: any Encoder) throws {
        try binding.encode(to: encoder)
        var object = encoder.container(keyedBy: CodingKeys.self)
        try object.encode(Traffic(packets: state.toNode.packets, bytes: state.toNode.bytes), forKey: .toNode)
        try object.encode(Traffic(packets: state.fromNode.packets, bytes: state.fromNode.bytes), forKey: .fromNode)
        try object.encode(state.revision, forKey: .revision)
        if !state.owner.isEmpty { try object.encode(state.owner, forKey: .owner) }
    }
}

extension ControlTraffic {
    /// As "12 packets, 3.40 KiB".
    var text: String { "\(countText(packets, "packet")), \(bytesText(bytes))" }
}
