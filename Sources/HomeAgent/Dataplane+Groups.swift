// Memberships in multicast groups at the forwarder.

import ControlProtocol
import MobileIP
import NIOCore
import Wire

extension Dataplane {
    /// Begins memberships and ends others, which are few enough for one request. Where the forwarder refuses, each is
    /// tried by itself.
    /// - Returns: memberships that did not begin; fails where the connection has ended.
    func change(
        joining: [MulticastMembership], leaving: [MulticastMembership]
    ) -> EventLoopFuture<[MulticastMembership]> {
        guard let client, isConnected else {
            return eventLoop.makeFailedFuture(ControlClientError.closed("there is no forwarder"))
        }
        let eventLoop = eventLoop
        let all = ControlPutBindings.with {
            $0.join = Self.groups(joining)
            $0.leave = Self.groups(leaving)
        }
        return client.send(.putBindings(all)).map { _ in [] }.assumeIsolated().flatMapError { error in
            guard case ControlClientError.refused = error else { return eventLoop.makeFailedFuture(error) }
            var replies: [EventLoopFuture<MulticastMembership?>] = []
            for group in Self.groups(leaving) {
                replies.append(client.send(.leaveGroup(.with { $0.group = group })).map { _ in nil })
            }
            for membership in joining {
                let group = Self.groups([membership])[0]
                replies.append(
                    client.send(.joinGroup(.with { $0.group = group })).map { _ in nil }.flatMapErrorThrowing { error in
                        guard case ControlClientError.refused = error else { throw error }
                        return membership
                    })
            }
            return EventLoopFuture.whenAllSucceed(replies, on: eventLoop).map { $0.compactMap { $0 } }
        }.nonisolated()
    }

    /// Tells of all memberships of bindings that are named as the home agent names its own, some at a time.
    func memberships(each: @escaping ([MulticastMembership]) -> Void) -> EventLoopFuture<Void> {
        memberships(behind: nil, each: each)
    }

    private func memberships(
        behind last: ControlGroup?, each: @escaping ([MulticastMembership]) -> Void
    ) -> EventLoopFuture<Void> {
        guard let client, isConnected else {
            return eventLoop.makeFailedFuture(ControlClientError.closed("there is no forwarder"))
        }
        var list = ControlListGroups()
        if let last {
            list.afterGroup = last.group
            list.afterMember = last.members.last ?? ""
        }
        return client.send(.listGroups(list)).assumeIsolated().flatMap { [self] reply in
            guard case .groupPage(let page) = reply else {
                return eventLoop.makeFailedFuture(
                    ControlClientError.unexpected("something else than GroupPage to ListGroups"))
            }
            each(
                page.groups.flatMap { group -> [MulticastMembership] in
                    guard let address = IPv6Address(networkOrder: group.group) else { return [] }
                    return group.members.compactMap { id in
                        IPv4Address(id).map { MulticastMembership(address, of: $0) }
                    }
                })
            guard page.more, let last = page.groups.last else { return eventLoop.makeSucceededVoidFuture() }
            return memberships(behind: last, each: each)
        }.nonisolated()
    }

    private static func groups(_ memberships: [MulticastMembership]) -> [ControlGroup] {
        Dictionary(grouping: memberships, by: \.group).sorted { $0.key < $1.key }.map { group, members in
            ControlGroup(group, members: members.map { MobilityBinding.id(of: $0.homeAddress) })
        }
    }
}
