// Answers requests of the control socket from the tables. All of it runs on the event loop, the tables' one writer, so
// that a request is carried out whole before the next begins.

import Bindings
import ControlProtocol
import Forwarding
import Glibc
import PacketBuffer
import RouteNetlink
import ServiceProcess
import Wire

extension Daemon: ControlHandler {
    func handle(_ request: ControlRequest.OneOf_Body, from client: ControlOrigin) -> ControlAnswer {
        switch request {
        case .putBindings(let put): .reply(putBindings(put, from: client))
        case .removeBindings(let remove): .reply(removeBindings(remove.ids))
        case .listBindings(let list): .reply(.bindingPage(page(list)))
        case .getStatus: .reply(.status(status))
        case .getCounters: .reply(.counters(counters))
        case .inject(let inject): .reply(self.inject(inject))
        case .joinGroup(let join): .reply(self.join(join.group))
        case .leaveGroup(let leave): .reply(self.leave(leave.group))
        case .listGroups(let list): .reply(page(list))
        case .beginResynchronization: .reply(beginResynchronization(client))
        case .endResynchronization(let end): endResynchronization(client, abandons: end.abandon)
        case .hello, .watch: preconditionFailure("the server answers these itself")
        }
    }

    func puntsAreWatched(_ areWatched: Bool) { workers.setPuntsAttached(areWatched) }

    func put(
        _ bindings: [Binding], removing ids: [String], from client: ControlOrigin
    ) -> ControlReply.OneOf_Body? {
        answer(client) { try put(bindings, removing: ids, from: client) }
    }

    private func putBindings(_ request: ControlPutBindings, from client: ControlOrigin) -> ControlReply.OneOf_Body {
        answer(client) {
            try put(
                request.checkedBindings(), removing: request.removeIds, expecting: request.expectedRevisions,
                ending: BindingTable.Group.checked(request.leave, "leave"),
                beginning: BindingTable.Group.checked(request.join, "join"), from: client)
        }
    }

    private func put(
        _ bindings: [Binding], removing ids: [String], expecting expected: [String: UInt64] = [:],
        ending: [BindingTable.Group] = [], beginning: [BindingTable.Group] = [], from client: ControlOrigin
    ) throws(BindingTableError) -> ControlBindingsChanged {
        let leaving = ids.isEmpty ? [] : Set(ids).subtracting(bindings.map(\.id))
        let changes = try put(
            bindings, superseding: leaving, expecting: expected, ending: ending, beginning: beginning,
            by: client.owner, in: resynchronizations.current(of: client))
        resynchronizations.count(changes, from: client)
        return .with {
            $0.added = UInt32(changes.added.count)
            $0.replaced = UInt32(changes.replaced.count)
            $0.removed = UInt32(changes.removed.count)
            $0.notFound = UInt32(leaving.count - changes.removed.count)
            $0.joined = UInt32(changes.joined)
            $0.left = UInt32(changes.left)
            $0.kept = UInt32(changes.kept)
        }
    }

    /// Puts bindings, and answers with what has changed or why nothing has.
    private func answer(
        _ client: ControlOrigin, _ put: () throws -> ControlBindingsChanged
    ) -> ControlReply.OneOf_Body {
        do {
            return .bindingsChanged(try put())
        } catch {
            let refusal = (error as? ControlError) ?? (error as? BindingTableError).map(ControlError.init)
            guard let refusal else { preconditionFailure("putting bindings throws only these") }
            logger.notice("bindings refused", metadata: ["by": "\(client.peer)", "reason": "\(refusal)"])
            resynchronizations.note(refusal, from: client)
            return .error(refusal)
        }
    }

    private func removeBindings(_ ids: [String]) -> ControlReply.OneOf_Body {
        let removed = remove(ids)
        return .bindingsChanged(
            .with {
                $0.removed = UInt32(removed)
                $0.notFound = UInt32(ids.count - removed)
            })
    }

    private func page(_ list: ControlListBindings) -> ControlBindingPage {
        let now = bootTimeNanoseconds()
        // One more than fits a page tells whether there is more.
        let ids = list.hasID ? [list.id] : table.ids(after: list.after, limit: ControlBindingPage.bindingLimit + 1)
        let states = ids.lazy.compactMap { [table] id in
            table.state(of: id, now: now).map(ControlBindingState.init)
        }
        return ControlBindingPage(answering: list, from: states)
    }

    private var status: ControlStatus {
        .with {
            $0.version = mooringVersion
            $0.uptimeMilliseconds = (bootTimeNanoseconds() - startTime) / 1_000_000
            $0.endpoints = configuration.endpoints.map(\.rawValue)
            $0.homeDevice = configuration.homeDevice
            $0.accessDevice = configuration.accessDevice
            $0.io = workers.io
            $0.ioReason = workers.ioReason
            $0.offload = workers.superFrames.choice.rawValue
            $0.offloadReason = workers.superFrames.reason
            $0.accessOffload = workers.accessFrames.choice.rawValue
            $0.accessOffloadReason = workers.accessFrames.reason
            // A figure of its own, not one of the counters: the device counts there some of what is counted here, too.
            if let dropped = try? Self.receiveDropped(configuration.accessDevice) { $0.accessReceiveDropped = dropped }
            // Empty where there is no /proc to tell.
            let all = try? Capabilities.ofThreads(workers: Worker.threadName)
            $0.capabilities = all?.others.description ?? ""
            $0.workerCapabilities = all?.workers.description ?? ""
            $0.bindings = UInt64(table.count)
            $0.bindingLimit = UInt64(table.configuration.bindingLimit)
            $0.prefixes = UInt64(table.prefixCount)
            $0.prefixLimit = UInt64(table.configuration.prefixLimit)
            $0.workers = UInt32(workers.all.count)
            $0.processors = configuration.processors?.numbers.prefix(workers.all.count).map(UInt32.init) ?? []
            $0.tunnelMtu = UInt32(table.configuration.tunnelMTU)
            $0.processID = UInt64(getpid())
            $0.groups = UInt64(table.groupCount)
            $0.members = UInt64(table.memberCount)
            $0.memberLimit = UInt64(table.configuration.memberLimit)
            if let checkpoints { $0.checkpoint = checkpoints.status }
        }
    }

    private static func receiveDropped(_ device: String) throws(RouteError) -> UInt64? {
        var socket = try RouteSocket()
        guard let link = try socket.link(named: device) else { return nil }
        return try socket.receiveDropped(link: link.index)
    }

    private var counters: ControlCounters {
        let readings = workers.counters()
        var counters = ControlCounters(readings.reduce(into: Counters()) { $0.add($1) })
        counters.puntsLost = punts.lost
        counters.workers = readings.map(ControlCounters.init)
        return counters
    }
}

extension ControlCounters {
    /// A reading, of one worker or summed.
    fileprivate init(_ counters: Counters) {
        self = .with {
            $0.received = ControlSideCounters(counters.received)
            $0.generated = ControlSideCounters(counters.generated)
            $0.transmitted = ControlSideCounters(counters.transmitted)
            $0.receivedBytes = ControlSideCounters(counters.receivedBytes)
            $0.transmittedBytes = ControlSideCounters(counters.transmittedBytes)
            $0.punted = counters.punted
            $0.absorbed = counters.absorbed
            $0.suppressedErrors = counters.suppressedErrors
            $0.reassemblyFailures = counters.reassemblyFailures
            $0.dropped = Dictionary(uniqueKeysWithValues: DropReason.allCases.map { ($0.name, counters[$0]) })
        }
    }
}

extension ControlError {
    init(_ error: BindingTableError) {
        let code: Code =
            switch error {
            case .malformed, .conflict, .homeAddressConflict, .carriesNoMulticast: .badBinding
            case .notAGroup: .badGroup
            case .notBound: .notBound
            case .changed: .conflict
            case .tooManyBindings, .tooManyPrefixes, .tooManyOwners, .tooManyMembers: .limit
            }
        self.init(code, "\(error)", binding: error.bindingID ?? "")
        if case .conflict(_, let prefix, _, _) = error { overlappingPrefix = prefix }
    }
}

extension ControlBindingState {
    fileprivate init(_ state: BindingTable.State) {
        self = .with {
            $0.binding = ControlBinding(state.binding)
            $0.toNode.packets = state.traffic.packetsToNode
            $0.toNode.bytes = state.traffic.bytesToNode
            $0.fromNode.packets = state.traffic.packetsFromNode
            $0.fromNode.bytes = state.traffic.bytesFromNode
            $0.revision = state.revision
            $0.owner = state.owner
        }
    }
}

extension ControlSideCounters {
    fileprivate init(_ counters: BySide) {
        self = .with {
            $0.home = counters.home
            $0.access = counters.access
        }
    }
}
