import Bindings
import ControlProtocol
import Wire

/// Answers as mooringd does, from a dictionary.
package final class FakeHandler: ControlHandler {
    /// What tests set, and look at, on the event loop.
    package private(set) var requests = 0
    /// How often `PutBindings` is refused with a conflict before it is taken.
    package var conflicts = 0
    /// How often memberships are refused before they are taken.
    package var refusedJoins = 0
    /// The length of the version in `Status`, for long replies.
    package var statusPadding = 0
    /// In `Status`.
    package var endpoints = [IPv4Address(rawValue: 0xC000_0201)]
    package var counters = ControlCounters()
    package private(set) var bindings: [String: ControlBindingState] = [:]
    private var revision: UInt64 = 0
    /// Ids of their members.
    package private(set) var groups: [IPv6Address: Set<String>] = [:]
    /// Whether somebody watches for punted packets, and how often that has changed.
    package private(set) var puntsAreWatched = false
    package private(set) var puntChanges = 0
    /// What was injected.
    package private(set) var injected: [ControlInjectedPacket] = []
    /// Packets that are refused: those into the tunnel of such a binding, for which there is none, and those beyond so many.
    package var unboundTunnels: Set<String> = []
    package var injectionLimit = Int.max
    package let publisher: ControlPublisher

    package init(_ publisher: ControlPublisher) {
        self.publisher = publisher
        counters.received.home = 10
        counters.received.access = 7
        counters.receivedBytes.home = 15_000
        counters.transmitted.home = 6
        counters.transmitted.access = 8
        counters.dropped = ["no-binding": 2, "inner-source-unregistered": 1, "packet-too-big": 0]
    }

    /// Gives a binding an encapsulation that this version does not know, as a newer daemon might.
    package func makeUnknown(_ id: String) { bindings[id]?.binding.encapsulation = .UNRECOGNIZED(99) }

    /// As if others had put these, and removed all that were there.
    package func replaceBindings(by new: [Binding]) {
        bindings = Dictionary(
            uniqueKeysWithValues: new.map { binding in
                (binding.id, ControlBindingState.with { $0.binding = ControlBinding(binding) })
            })
    }

    package func handle(_ request: ControlRequest.OneOf_Body, from client: ControlOrigin) -> ControlAnswer {
        requests += 1
        switch request {
        case .beginResynchronization:
            named = []
            return .reply(.resynchronizationBegun(ControlResynchronizationBegun()))
        case .endResynchronization(let end): return endResynchronization(end)
        default: return .reply(answer(request))
        }
    }

    /// Calls of an unfinished answer before it is done.
    package var turnsToEnd = 0
    /// Clients that have gone.
    package private(set) var gone = 0
    package private(set) var owners: Set<String> = []
    /// Ids that were put since a resynchronisation began.
    private var named: Set<String>?

    package func hasGone(_ client: ControlOrigin) {
        gone += 1
        owners.insert(client.owner)
    }

    private func endResynchronization(_ end: ControlEndResynchronization) -> ControlAnswer {
        guard let named else { return .reply(.error(ControlError(.badRequest, "not begun"))) }
        if turnsToEnd > 0 {
            turnsToEnd -= 1
            return .unfinished { [unowned self] in endResynchronization(end) }
        }
        self.named = nil
        var changed = ControlBindingsChanged()
        if !end.abandon { remove(bindings.keys.filter { !named.contains($0) }, &changed) }
        return .reply(.resynchronized(.with { $0.removed = UInt64(changed.removed) }))
    }

    private func answer(_ request: ControlRequest.OneOf_Body) -> ControlReply.OneOf_Body {
        switch request {
        case .putBindings(let put):
            do {
                return .bindingsChanged(try self.put(put))
            } catch {
                return .error(error)
            }
        case .removeBindings(let remove):
            var changed = ControlBindingsChanged()
            self.remove(remove.ids, &changed)
            return .bindingsChanged(changed)
        case .listBindings(let list):
            let ids = list.hasID ? [list.id] : bindings.keys.sorted().filter { $0 > list.after }
            return .bindingPage(ControlBindingPage(answering: list, from: ids.lazy.compactMap { self.bindings[$0] }))
        case .getStatus: return .status(status)
        case .getCounters: return .counters(counters)
        case .inject(let inject): return self.inject(inject.packets)
        case .joinGroup(let join):
            do {
                try refuseJoin()
                return change(join.group) { self.join($0, join.group.members) }
            } catch {
                return .error(error)
            }
        case .leaveGroup(let leave): return change(leave.group) { self.leave($0, leave.group.members) }
        case .listGroups(let list): return page(list)
        case .hello, .watch, .beginResynchronization, .endResynchronization:
            preconditionFailure("these are answered elsewhere")
        }
    }

    private func refuseJoin() throws(ControlError) {
        guard refusedJoins > 0 else { return }
        refusedJoins -= 1
        throw ControlError(.limit, "there are too many members")
    }

    /// Takes packets up to the first that is refused.
    private func inject(_ packets: [ControlInjectedPacket]) -> ControlReply.OneOf_Body {
        for (taken, packet) in packets.enumerated() {
            if unboundTunnels.contains(packet.tunnelOf) {
                return .error(ControlError(.notBound, "there is no binding", binding: packet.tunnelOf, taken: taken))
            }
            guard injected.count < injectionLimit else {
                return .error(ControlError(.limit, "too many packets wait", taken: taken))
            }
            injected.append(packet)
        }
        return .injected(.with { $0.taken = UInt32(packets.count) })
    }

    package func puntsAreWatched(_ areWatched: Bool) {
        puntsAreWatched = areWatched
        puntChanges += 1
    }

    private func change(
        _ group: ControlGroup, _ change: (IPv6Address) -> ControlGroupChanged
    ) -> ControlReply.OneOf_Body {
        do throws(ControlError) {
            var changed = change(try group.checkedAddress(at: "group"))
            changed.unchanged = UInt32(group.members.count) - changed.joined - changed.left
            return .groupChanged(changed)
        } catch {
            return .error(error)
        }
    }

    private func join(_ group: IPv6Address, _ ids: [String]) -> ControlGroupChanged {
        .with { for id in ids where groups[group, default: []].insert(id).inserted { $0.joined += 1 } }
    }

    private func leave(_ group: IPv6Address, _ ids: [String]) -> ControlGroupChanged {
        .with {
            for id in ids where groups[group]?.remove(id) != nil { $0.left += 1 }
            if groups[group]?.isEmpty == true { groups[group] = nil }
        }
    }

    private func page(_ list: ControlListGroups) -> ControlReply.OneOf_Body {
        do throws(ControlError) {
            let place = try list.place
            let behind = groups.sorted { $0.key < $1.key }.compactMap { address, ids -> ControlGroup? in
                let ids = ids.sorted().filter { id in place.map { ($0.group, $0.id) < (address, id) } ?? true }
                return ids.isEmpty ? nil : ControlGroup(address, members: ids)
            }
            return .groupPage(ControlGroupPage(answering: list, from: behind))
        } catch {
            return .error(error)
        }
    }

    private func put(_ put: ControlPutBindings) throws(ControlError) -> ControlBindingsChanged {
        if conflicts > 0 {
            conflicts -= 1
            throw ControlError(.conflict, "it was put by another")
        }
        if !put.join.isEmpty { try refuseJoin() }
        let checked = try put.checkedBindings()
        for (id, revision) in put.expectedRevisions where bindings[id]?.revision ?? 0 != revision {
            throw ControlError(.conflict, "\(id) was put by another", binding: id)
        }
        var owned = checked.enumerated().flatMap { index, binding in
            binding.prefixes.map { OwnedPrefix(prefix: $0.prefix, owner: index) }
        }
        let leaving = Set(put.removeIds).union(checked.map(\.id))
        for (index, (id, state)) in bindings.enumerated()
        where !leaving.contains(id) && !state.binding.prefixes.isEmpty {
            guard let binding = try? Binding(state.binding) else { continue }
            owned += binding.prefixes.map { OwnedPrefix(prefix: $0.prefix, owner: -1 - index) }
        }
        if let (_, second) = OwnedPrefix.firstOverlap(of: owned) {
            throw ControlError(.badBinding, "\(second.prefix) overlaps another node's")
        }
        named?.formUnion(checked.map(\.id))
        var changed = ControlBindingsChanged()
        for group in put.leave { changed.left += leave(try group.checkedAddress(at: "leave"), group.members).left }
        remove(put.removeIds.filter { id in !checked.contains { $0.id == id } }, &changed)
        for binding in checked {
            revision += 1
            var state = bindings[binding.id] ?? ControlBindingState()
            state.binding = ControlBinding(binding)
            state.revision = revision
            // As mooringd does: there, also where nothing was sent.
            if !state.hasToNode { state.toNode = ControlTraffic() }
            if !state.hasFromNode { state.fromNode = ControlTraffic() }
            let isNew = bindings.updateValue(state, forKey: binding.id) == nil
            if isNew { changed.added += 1 } else { changed.replaced += 1 }
            publish(isNew ? .added : .replaced, state.binding)
        }
        for group in put.join { changed.joined += join(try group.checkedAddress(at: "join"), group.members).joined }
        return changed
    }

    private func remove(_ ids: [String], _ changed: inout ControlBindingsChanged) {
        for id in ids {
            if let state = bindings.removeValue(forKey: id) {
                changed.removed += 1
                for group in groups.keys { _ = leave(group, [id]) }
                publish(.removed, state.binding)
            } else {
                changed.notFound += 1
            }
        }
    }

    private func publish(_ change: ControlBindingEvent.Change, _ binding: ControlBinding) {
        var event = ControlBindingEvent()
        event.change = change
        event.binding = binding
        publisher.publishChange { event }
    }

    private var status: ControlStatus {
        var status = ControlStatus()
        status.version = mooringVersion + String(repeating: "x", count: statusPadding)
        status.uptimeMilliseconds = 93_784_000
        status.endpoints = endpoints.map(\.rawValue)
        status.homeDevice = "mooring-home"
        status.accessDevice = "mooring-access"
        status.io = "io_uring"
        status.bindings = UInt64(bindings.count)
        status.bindingLimit = 1000
        status.prefixLimit = 2000
        status.groups = UInt64(groups.count)
        status.members = groups.values.reduce(0) { $0 + UInt64($1.count) }
        status.memberLimit = 3000
        status.workers = 1
        status.tunnelMtu = 1480
        status.processID = 42
        return status
    }
}
