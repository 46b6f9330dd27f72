// The requests of the control protocol as functions.

import Bindings

extension ControlClient {
    /// Puts bindings, all or none.
    /// - Parameters:
    ///   - removedIDs: of bindings that go in the same step, unless they are put; their prefixes may be taken over.
    ///   - expectedRevisions: what `ControlBindingState.revision` must be for the ids named here; 0 where an id must not
    ///     be bound. Otherwise the daemon refuses with `conflict`.
    public func put(
        _ bindings: [Binding], removing removedIDs: [String] = [], expectedRevisions: [String: UInt64] = [:]
    ) async throws(ControlClientError) -> ControlBindingsChanged {
        var put = ControlPutBindings()
        put.bindings = bindings.map(ControlBinding.init)
        put.removeIds = removedIDs
        put.expectedRevisions = expectedRevisions
        return try await self.put(put)
    }

    func put(_ batch: ControlPutBindings) async throws(ControlClientError) -> ControlBindingsChanged {
        guard case .bindingsChanged(let changed) = try await request(.putBindings(batch)) else {
            throw .unexpected("something else than BindingsChanged to PutBindings")
        }
        return changed
    }

    /// Removes bindings; those that are not there are counted.
    public func remove(_ ids: [String]) async throws(ControlClientError) -> ControlBindingsChanged {
        var remove = ControlRemoveBindings()
        remove.ids = ids
        guard case .bindingsChanged(let changed) = try await request(.removeBindings(remove)) else {
            throw .unexpected("something else than BindingsChanged to RemoveBindings")
        }
        return changed
    }

    /// What runs.
    public func status() async throws(ControlClientError) -> ControlStatus {
        guard case .status(let status) = try await request(.getStatus(ControlGetStatus())) else {
            throw .unexpected("something else than Status to GetStatus")
        }
        return status
    }

    /// The counters as of now.
    public func counters() async throws(ControlClientError) -> ControlCounters {
        guard case .counters(let counters) = try await request(.getCounters(ControlGetCounters())) else {
            throw .unexpected("something else than Counters to GetCounters")
        }
        return counters
    }

    /// The binding with that id; nil where there is none.
    public func binding(_ id: String) async throws(ControlClientError) -> ControlBindingState? {
        var list = ControlListBindings()
        list.id = id
        return try await page(list).bindings.first
    }

    /// All bindings in the order of their ids, asked for page by page. Those that come or go meanwhile may be there or
    /// not; none is there twice.
    public func bindings() -> ControlBindingList { ControlBindingList(self) }

    fileprivate func page(_ list: ControlListBindings) async throws(ControlClientError) -> ControlBindingPage {
        guard case .bindingPage(let page) = try await request(.listBindings(list)) else {
            throw .unexpected("something else than BindingPage to ListBindings")
        }
        return page
    }

    /// Changes a binding that is there: reads it, changes it and puts it, again where another has put it meanwhile.
    /// Its lifetime runs on, unless `change` sets it.
    /// - Returns: the binding that was put; nil where none has that id.
    /// - Throws: `ControlClientError`, or what `change` throws.
    public func update(_ id: String, _ change: (inout Binding) throws -> Void) async throws -> Binding? {
        var attempts = 0
        while true {
            guard let state = try await binding(id) else { return nil }
            var binding = try Binding(state.binding)
            try change(&binding)
            do throws(ControlClientError) {
                _ = try await put([binding], expectedRevisions: [id: state.revision])
                return binding
            } catch {
                attempts += 1
                guard case .refused(let refusal) = error, refusal.code == .conflict, attempts < 16 else { throw error }
            }
        }
    }
}

/// The bindings of a daemon, page by page.
public struct ControlBindingList: AsyncSequence, Sendable {
    private let client: ControlClient

    init(_ client: ControlClient) {
        self.client = client
    }

    /// Goes through the bindings.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let client: ControlClient
        var page = ControlBindingPage()
        var position = 0
        var isStarted = false

        /// The next binding; asks for the next page where needed.
        public mutating func next() async throws(ControlClientError) -> ControlBindingState? {
            while position == page.bindings.count {
                guard !isStarted || page.more else { return nil }
                var list = ControlListBindings()
                list.limit = UInt32(ControlBindingPage.bindingLimit)
                list.after = page.bindings.last?.binding.id ?? ""
                if isStarted, page.bindings.isEmpty { throw .unexpected("an empty page where more was promised") }
                page = try await client.page(list)
                (position, isStarted) = (0, true)
            }
            position += 1
            return page.bindings[position - 1]
        }
    }

    /// Goes through the bindings.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(client: client) }
}
