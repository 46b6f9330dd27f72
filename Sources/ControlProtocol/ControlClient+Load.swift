// Many bindings at once: in one request, all or nothing, as long as they fit the daemon's frame; else in as few as
// they fit, one after the other.

import Bindings
import SwiftProtobuf

extension ControlClient {
    /// How far a load has come.
    public struct LoadProgress: Sendable {
        /// What was changed so far.
        public var changed = ControlBindingsChanged()
        /// Batches that are done.
        public var batchesDone = 0
        /// Batches in all; with one, all is done or nothing.
        public let batches: Int
    }

    /// Puts bindings and removes others, ends and begins memberships in groups, however many.
    /// - Parameters:
    ///   - removedIDs: are removed first, since a binding that is put may have a prefix of one of them.
    ///   - leaving: memberships that end.
    ///   - joining: memberships that begin, when the bindings have been put.
    ///   - progress: called after each batch.
    public func load(
        _ bindings: [Binding], removing removedIDs: [String] = [], leaving: [ControlGroup] = [],
        joining: [ControlGroup] = [], progress: (LoadProgress) -> Void
    ) async throws(ControlClientError) -> ControlBindingsChanged {
        let batches = ControlPutBindings.batches(
            bindings, removing: removedIDs, leaving: leaving, joining: joining, limit: frameLimit)
        var state = LoadProgress(batches: batches.count)
        for batch in batches {
            let changed = try await put(batch)
            state.changed.added += changed.added
            state.changed.replaced += changed.replaced
            state.changed.removed += changed.removed
            state.changed.notFound += changed.notFound
            state.changed.joined += changed.joined
            state.changed.left += changed.left
            state.batchesDone += 1
            progress(state)
        }
        return state.changed
    }
}

extension ControlPutBindings {
    /// Splits into batches, none of which is longer than `limit` bytes as a request; one at least.
    static func batches(
        _ bindings: [Binding], removing removedIDs: [String], leaving: [ControlGroup] = [],
        joining: [ControlGroup] = [], limit: Int
    ) -> [ControlPutBindings] {
        // Around a field of a message: its tag and its length, five bytes at most here; around the batch, the request's
        // id, the tag and length of the batch, and their like.
        let overhead = 8
        let room = limit - 64
        var batches = [ControlPutBindings()]
        var size = 0
        func add(_ bytes: Int, _ body: (inout ControlPutBindings) -> Void) {
            if size > 0, size + bytes + overhead > room {
                batches.append(ControlPutBindings())
                size = 0
            }
            body(&batches[batches.count - 1])
            size += bytes + overhead
        }
        func add(_ groups: [ControlGroup], to path: WritableKeyPath<ControlPutBindings, [ControlGroup]>) {
            for group in groups {
                for member in group.members {
                    // As if each brought a group of its own, which the first of each batch does.
                    add(member.utf8.count + group.group.count + 2 * overhead) { batch in
                        if batch[keyPath: path].last?.group == group.group {
                            batch[keyPath: path][batch[keyPath: path].count - 1].members.append(member)
                        } else {
                            var part = ControlGroup()
                            part.group = group.group
                            part.members = [member]
                            batch[keyPath: path].append(part)
                        }
                    }
                }
            }
        }
        for id in removedIDs { add(id.utf8.count) { $0.removeIds.append(id) } }
        add(leaving, to: \.leave)
        for binding in bindings {
            let message = ControlBinding(binding)
            add(message.encodedSize) { $0.bindings.append(message) }
        }
        add(joining, to: \.join)
        return batches
    }
}

extension Message {
    /// Bytes on the wire.
    fileprivate var encodedSize: Int {
        do {
            let bytes: [UInt8] = try serializedBytes()
            return bytes.count
        } catch {
            preconditionFailure("a message without required fields can always be encoded: \(error)")
        }
    }
}
