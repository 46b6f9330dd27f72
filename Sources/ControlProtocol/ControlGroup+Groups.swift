// Multicast groups in messages: what is checked of them on their way in, and pages of memberships.

import Bindings
import FoundationEssentials
import Wire

extension ControlGroup {
    /// A group with members, by their ids.
    public init(_ group: IPv6Address, members: [String]) {
        self.init()
        self.group = group.networkOrder
        self.members = members
    }

    /// The address of the group.
    /// - Parameter place: what an error calls it, such as `join[3]`.
    /// - Throws: where it is none of a group.
    public func checkedAddress(at place: String) throws(ControlError) -> IPv6Address {
        guard let address = IPv6Address(networkOrder: group) else {
            throw ControlError(.badGroup, "\(place).group has \(group.count) bytes where 16 are expected")
        }
        guard Binding.isGroup(address) else {
            throw ControlError(
                .badGroup,
                "\(place).group: \(address) is no IPv6 multicast address whose scope is at least that of a link")
        }
        return address
    }
}

extension ControlListGroups {
    /// Behind whom the page begins.
    public var place: (group: IPv6Address, id: String)? {
        get throws(ControlError) {
            guard !hasGroup else { return (try Self.address(group, "group"), afterMember) }
            guard !afterGroup.isEmpty else { return nil }
            return (try Self.address(afterGroup, "after_group"), afterMember)
        }
    }

    /// Of members in the page.
    public var memberLimit: Int {
        limit == 0 ? ControlGroupPage.memberLimit : min(Int(limit), ControlGroupPage.memberLimit)
    }

    private static func address(_ bytes: Data, _ name: String) throws(ControlError) -> IPv6Address {
        guard let address = IPv6Address(networkOrder: bytes) else {
            throw ControlError(.badGroup, "\(name) has \(bytes.count) bytes where 16 are expected")
        }
        return address
    }
}

extension ControlGroupPage {
    /// Members in a page at the most.
    public static let memberLimit = 1000

    /// The page that answers a request.
    /// - Parameter groups: those behind `request.place` with their members in order; one member more than the page
    ///   holds tells that there are more.
    public init(answering request: ControlListGroups, from groups: some Sequence<ControlGroup>) {
        self.init()
        var room = request.memberLimit
        for group in groups {
            if request.hasGroup, group.group != request.group { return }
            if group.members.count > room {
                more = true
                if room > 0 {
                    var part = group
                    part.members = Array(group.members.prefix(room))
                    self.groups.append(part)
                }
                return
            }
            room -= group.members.count
            self.groups.append(group)
        }
    }
}

/// Bounds of what may be injected.
public enum ControlInjectLimits {
    /// Packets in a request at the most.
    public static let packets = 256
}
