// Requests that concern multicast groups.

import ControlProtocol
import Forwarding
import Wire

extension Daemon {
    func join(_ request: ControlGroup) -> ControlReply.OneOf_Body {
        changeGroup(request) { (address) throws(BindingTableError) in
            let joined = try table.join(address, request.members)
            return .with { $0.joined = UInt32(joined) }
        }
    }

    func leave(_ request: ControlGroup) -> ControlReply.OneOf_Body {
        changeGroup(request) { (address) throws(BindingTableError) in
            let left = table.leave(address, request.members)
            return .with { $0.left = UInt32(left) }
        }
    }

    private func changeGroup(
        _ request: ControlGroup, _ change: (IPv6Address) throws(BindingTableError) -> ControlGroupChanged
    ) -> ControlReply.OneOf_Body {
        do throws(ControlError) {
            let address = try request.checkedAddress(at: "group")
            do throws(BindingTableError) {
                var changed = try change(address)
                changed.unchanged = UInt32(request.members.count) - changed.joined - changed.left
                logger.debug(
                    "group changed",
                    metadata: ["group": "\(address)", "joined": "\(changed.joined)", "left": "\(changed.left)"])
                return .groupChanged(changed)
            } catch {
                throw ControlError(error)
            }
        } catch {
            return .error(error)
        }
    }

    func page(_ list: ControlListGroups) -> ControlReply.OneOf_Body {
        do throws(ControlError) {
            // One more than fits the page tells whether there is more.
            let groups = table.members(after: try list.place, limit: list.memberLimit + 1)
            return .groupPage(
                ControlGroupPage(
                    answering: list, from: groups.lazy.map { ControlGroup($0.address, members: $0.members) }))
        } catch {
            return .error(error)
        }
    }
}

extension BindingTable.Group {
    /// The groups of a batch.
    /// - Parameter field: of the message, for errors.
    static func checked(_ messages: [ControlGroup], _ field: String) throws(ControlError) -> [BindingTable.Group] {
        var groups: [BindingTable.Group] = []
        for (index, message) in messages.enumerated() {
            let address = try message.checkedAddress(at: "\(field)[\(index)]")
            groups.append(BindingTable.Group(address: address, members: message.members))
        }
        return groups
    }
}
