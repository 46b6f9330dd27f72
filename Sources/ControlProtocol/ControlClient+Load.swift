// Many bindings at once: in one request, all or nothing, as long as they fit the daemon's frame; else in batches, several
// of which are under way at a time. The daemon takes other clients' requests between two of them.

import Bindings
import NIOCore

extension ControlClient {
    /// How far a load has come.
    public struct LoadProgress: Sendable {
        /// What was changed so far.
        public var changed = ControlBindingsChanged()
        /// Bindings of batches that are done.
        public var bindingsDone = 0
        /// Bindings in all.
        public let bindings: Int
        /// Whether it is one request, of which all is done or nothing.
        public let isOneRequest: Bool
    }

    /// Batches that are under way at a time where nothing else is said.
    public static let usualWindow = 16
    /// Bytes of a batch, where not all fits one request.
    static let batchSize = 1 << 17

    /// Puts bindings and removes others, ends and begins memberships in groups, however many.
    ///
    /// Where a batch is refused, no further ones are sent; those that were under way may still be carried out, and
    /// `progress` is told of them.
    /// - Parameters:
    ///   - removedIDs: are removed first, since a binding that is put may have a prefix of one of them.
    ///   - leaving: memberships that end.
    ///   - joining: memberships that begin, when the bindings have been put.
    ///   - replacing: whether other bindings of this connection's owner go, when all was put. Those that are there as they
    ///     are put then stay untouched (`kept`).
    ///   - window: batches that are under way at a time, at the most.
    ///   - progress: called after each batch.
    /// - Throws: the first refusal; its `binding` is the binding's id. With `replacing` nothing was removed then.
    public func load(
        _ bindings: [Binding], removing removedIDs: [String] = [], leaving: [ControlGroup] = [],
        joining: [ControlGroup] = [], replacing: Bool = false, window: Int = usualWindow,
        progress: (LoadProgress) -> Void
    ) async throws(ControlClientError) -> ControlBindingsChanged {
        var batches = ControlBatches(
            bindings, removing: removedIDs, leaving: leaving, joining: joining, limit: frameLimit)
        let first = batches.next()
        let isOneRequest = batches.isAtEnd
        var state = LoadProgress(bindings: bindings.count, isOneRequest: isOneRequest)
        func count(_ batch: Int, _ changed: ControlBindingsChanged) {
            state.changed.added += changed.added
            state.changed.replaced += changed.replaced
            state.changed.kept += changed.kept
            state.changed.removed += changed.removed
            state.changed.notFound += changed.notFound
            state.changed.joined += changed.joined
            state.changed.left += changed.left
            state.bindingsDone += batch
            progress(state)
        }
        if replacing { try await beginResynchronization() }
        do throws(ControlClientError) {
            if isOneRequest, let first {
                try await put(encoded: CollectionOfOne(first), window: 1, done: count)
            } else {
                let batches = ControlBatches(
                    bindings, removing: removedIDs, leaving: leaving, joining: joining,
                    limit: min(frameLimit, Self.batchSize))
                try await put(encoded: batches, window: window, done: count)
            }
        } catch {
            // Where the connection has ended, so has the resynchronisation.
            if replacing { _ = try? await endResynchronization(abandoning: true) }
            throw error
        }
        if replacing { state.changed.removed = UInt32(clamping: try await endResynchronization().removed) }
        return state.changed
    }

    /// Puts batches of bindings, each all or nothing, without waiting for the reply to one before the next is sent.
    ///
    /// Where one is refused, no further ones are sent; those that were under way may still be carried out, and `done` is
    /// called for them.
    /// - Parameters:
    ///   - batches: each is no longer than `frameLimit` as a request. Asked for one at a time, as there is room.
    ///   - window: batches that are under way at a time, at the most.
    ///   - done: called for each that was carried out, in their order.
    /// - Throws: the first refusal.
    public func put(
        pipelining batches: some Sequence<[Binding]>, window: Int = usualWindow,
        done: (ControlBindingsChanged) -> Void
    ) async throws(ControlClientError) {
        let encoded = batches.lazy.map { bindings in
            var batch = ControlBatch(message: ByteBuffer(), bindings: bindings.count)
            for binding in bindings { batch.message.write(binding, encodedSize: binding.encodedSize) }
            return batch
        }
        try await put(encoded: encoded, window: window) { done($1) }
    }

    private func put(
        encoded batches: some Sequence<ControlBatch>, window: Int, done: (Int, ControlBindingsChanged) -> Void
    ) async throws(ControlClientError) {
        precondition(window > 0, "without a batch under way there is no progress")
        var underWay = CircularBuffer<(bindings: Int, reply: EventLoopFuture<ControlReply.OneOf_Body>)>()
        var failure: ControlClientError?
        for batch in batches {
            if underWay.count == window { await takeFirst() }
            if failure != nil { break }
            underWay.append((batch.bindings, send(batch)))
        }
        while !underWay.isEmpty { await takeFirst() }
        if let failure { throw failure }

        func takeFirst() async {
            let (bindings, reply) = underWay.removeFirst()
            do throws(ControlClientError) {
                let body = try await ControlClientError.rethrowing { try await reply.get() }
                guard case .bindingsChanged(let changed) = body else {
                    throw .unexpected("something else than BindingsChanged to PutBindings")
                }
                done(bindings, changed)
            } catch {
                failure = failure ?? error
            }
        }
    }

    // MARK: Resynchronisation

    /// From now on this connection names all bindings of its owner, by putting them; those that are there already, as
    /// they are put, stay untouched.
    /// - Throws: `refused` with `busy` where another connection does so for the same owner.
    public func beginResynchronization() async throws(ControlClientError) {
        guard case .resynchronizationBegun = try await request(.beginResynchronization(ControlBeginResynchronization()))
        else { throw .unexpected("something else than ResynchronizationBegun to BeginResynchronization") }
    }

    /// Removes what has not been named since the beginning.
    /// - Parameter abandoning: removes nothing.
    /// - Throws: `refused` with `incomplete` where a batch was refused since; nothing goes then.
    public func endResynchronization(
        abandoning: Bool = false
    ) async throws(ControlClientError) -> ControlResynchronized {
        var end = ControlEndResynchronization()
        end.abandon = abandoning
        guard case .resynchronized(let counts) = try await request(.endResynchronization(end)) else {
            throw .unexpected("something else than Resynchronized to EndResynchronization")
        }
        return counts
    }
}
