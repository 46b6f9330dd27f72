// The requests that concern multicast groups, and packets to be sent.

import Bindings
import FoundationEssentials
import Wire

extension ControlClient {
    /// Makes bindings members of a group, all of them or none; those that are members stay it.
    public func join(_ group: IPv6Address, _ ids: [String]) async throws(ControlClientError) -> ControlGroupChanged {
        try await change(.joinGroup(.with { $0.group = ControlGroup(group, members: ids) }))
    }

    /// Ends memberships in a group; ids that are no members are counted.
    public func leave(_ group: IPv6Address, _ ids: [String]) async throws(ControlClientError) -> ControlGroupChanged {
        try await change(.leaveGroup(.with { $0.group = ControlGroup(group, members: ids) }))
    }

    private func change(_ body: ControlRequest.OneOf_Body) async throws(ControlClientError) -> ControlGroupChanged {
        guard case .groupChanged(let changed) = try await request(body) else {
            throw .unexpected("something else than GroupChanged to a change of a group")
        }
        return changed
    }

    /// Groups with their members, in the order of addresses and ids, asked for page by page.
    /// - Parameter group: that one alone.
    public func groups(_ group: IPv6Address? = nil) -> ControlGroupList { ControlGroupList(self, group) }

    /// Has packets sent, 256 at the most, in their order.
    /// - Throws: `refused` with the first that was not taken; its `taken` says how many were before it.
    public func inject(_ packets: [ControlInjectedPacket]) async throws(ControlClientError) -> Int {
        guard case .injected(let reply) = try await request(.inject(.with { $0.packets = packets })) else {
            throw .unexpected("something else than Injected to Inject")
        }
        return Int(reply.taken)
    }
}

/// The groups of a daemon: each comes once, with all its members.
public struct ControlGroupList: AsyncSequence, Sendable {
    private let client: ControlClient
    private let group: IPv6Address?

    init(_ client: ControlClient, _ group: IPv6Address?) {
        self.client = client
        self.group = group
    }

    /// Goes through the groups.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let client: ControlClient
        let group: IPv6Address?
        var page = ControlGroupPage()
        var position = 0
        var isStarted = false

        /// The next group; asks for further pages where needed.
        public mutating func next() async throws(ControlClientError) -> ControlGroup? {
            if position == page.groups.count, try await !turn(after: page.groups.last) { return nil }
            var next = page.groups[position]
            position += 1
            // The last of a page may go on in the next, under the same address.
            while position == page.groups.count, page.more {
                guard try await turn(after: next) else { break }
                guard page.groups[0].group == next.group else { break }
                next.members += page.groups[0].members
                position = 1
            }
            return next
        }

        /// - Returns: whether there is another page.
        private mutating func turn(after last: ControlGroup?) async throws(ControlClientError) -> Bool {
            guard !isStarted || page.more else { return false }
            var list = ControlListGroups()
            if let group { list.group = group.networkOrder }
            if let last {
                list.afterGroup = last.group
                list.afterMember = last.members.last ?? ""
            }
            guard case .groupPage(let page) = try await client.request(.listGroups(list)) else {
                throw .unexpected("something else than GroupPage to ListGroups")
            }
            guard !page.groups.isEmpty || !page.more else {
                throw .unexpected("an empty page where more was promised")
            }
            self.page = page
            (position, isStarted) = (0, true)
            return !page.groups.isEmpty
        }
    }

    /// Goes through the groups.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(client: client, group: group) }
}
