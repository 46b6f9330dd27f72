// Clients that name all bindings of their owner, so that what they do not name goes. The marks are the table's
// (BindingTable+Resynchronization.swift); here is who does it, and what became of it. There is one for an owner at a time,
// bound to the connection that began it: when that ends before it has said that all is named, nothing goes.

import Bindings
import ControlProtocol
import Forwarding

/// The resynchronisations that are under way; one for an owner at the most, and so no more than there are connections.
struct Resynchronizations {
    /// Places of the table that are looked at, and bindings that are removed, before others have their turn.
    static let sweepSlots = 4096
    static let sweepLimit = 512

    /// A client naming its owner's bindings.
    private struct Open {
        let client: ControlOrigin
        var table: BindingTable.Resynchronization
        var counts = ControlResynchronized()
        /// What a batch was refused for, the first.
        var refusal: ControlError?
        /// Whether all was named.
        var isSweeping = false
    }

    /// A part of a sweep.
    enum Step {
        /// These went, and there may be more.
        case removed([Binding])
        case done(ControlResynchronized)
    }

    private var open: [String: Open] = [:]

    private func isOpen(_ client: ControlOrigin) -> Bool { open[client.owner]?.client === client }

    /// A client begins.
    /// - Throws: where the same owner's bindings are being named already.
    mutating func begin(_ client: ControlOrigin, _ table: BindingTable) throws(ControlError) {
        if let other = open[client.owner] {
            let whose = client.owner.isEmpty ? "the bindings without an owner" : "the bindings of \(client.owner)"
            let who = other.client === client ? "this connection" : "\(other.client.peer)"
            throw ControlError(
                .busy, "\(who) resynchronises \(whose) already; wait until it has ended, or end that connection")
        }
        open[client.owner] = Open(client: client, table: table.beginResynchronization(of: client.owner))
    }

    /// What a client's bindings are put in; nil where it has begun none.
    func current(of client: ControlOrigin) -> BindingTable.Resynchronization? {
        isOpen(client) ? open[client.owner]?.table : nil
    }

    /// Counts what a client has put.
    mutating func count(_ changes: BindingTable.Changes, from client: ControlOrigin) {
        guard isOpen(client) else { return }
        open[client.owner]?.counts.kept += UInt64(changes.kept)
        open[client.owner]?.counts.replaced += UInt64(changes.replaced.count)
        open[client.owner]?.counts.added += UInt64(changes.added.count)
        open[client.owner]?.counts.removed += UInt64(changes.removed.count)
    }

    /// A client's batch was refused: what it named must not go.
    mutating func note(_ refusal: ControlError, from client: ControlOrigin) {
        guard isOpen(client), open[client.owner]?.refusal == nil else { return }
        open[client.owner]?.refusal = refusal
    }

    /// A client has named all.
    /// - Returns: nil where what was not named is to be swept now, else the counts.
    /// - Throws: where nothing goes; it has ended then.
    mutating func end(_ client: ControlOrigin, abandons: Bool) throws(ControlError) -> ControlResynchronized? {
        guard isOpen(client), let ending = open[client.owner] else {
            throw ControlError(.badRequest, "no resynchronisation was begun on this connection: begin, put, then end")
        }
        guard !abandons, ending.refusal == nil else {
            open[client.owner] = nil
            guard !abandons, let refusal = ending.refusal else { return ending.counts }
            throw ControlError(
                .incomplete,
                "a batch was refused, so what was not named stays: begin anew. It was refused because \(refusal.message)",
                binding: refusal.binding)
        }
        open[client.owner]?.isSweeping = true
        return nil
    }

    /// Goes on to sweep, after `end` returned nil, until it is done.
    mutating func sweep(of client: ControlOrigin, _ table: BindingTable) -> Step {
        guard isOpen(client), var sweeping = open[client.owner], sweeping.isSweeping else {
            preconditionFailure("a sweep goes on until it is done")
        }
        guard let removed = table.sweep(&sweeping.table, slots: Self.sweepSlots, limit: Self.sweepLimit) else {
            open[client.owner] = nil
            return .done(sweeping.counts)
        }
        sweeping.counts.removed += UInt64(removed.count)
        open[client.owner] = sweeping
        return .removed(removed)
    }

    /// A connection has ended. What is being swept goes on.
    /// - Returns: whether it was in the midst of naming.
    mutating func hasGone(_ client: ControlOrigin) -> Bool {
        guard isOpen(client), open[client.owner]?.isSweeping == false else { return false }
        open[client.owner] = nil
        return true
    }
}
