// Reads what `CheckpointChanges` wrote. Another process wrote it: what it holds is bounded as a checkpoint is.

import Bindings
import Forwarding
import Wire

/// What has changed in a table.
public struct CheckpointChangeContents: Sendable {
    /// Of the whole.
    public let header: CheckpointHeader
    /// Bindings as they are now, and ids of those that the binding file named.
    public private(set) var bindings: [BindingTable.Saved] = []
    /// Of them.
    public private(set) var fileBindings: Set<String> = []
    /// Ids of bindings that are gone.
    public private(set) var removed: [String] = []
    /// Groups that changed, with all their members in the order in which they joined; none where it is gone.
    public private(set) var groups: [BindingTable.Group] = []
    /// Members of them that the binding file named.
    public private(set) var fileMembers: [IPv6Address: Set<String>] = [:]
    /// The last revision that was given.
    public private(set) var lastRevision: UInt64 = 0
    /// The binding file that was read last.
    public private(set) var file: CheckpointFileDigest?

    /// Reads changes.
    /// - Parameters:
    ///   - descriptor: of a file, whose offset does not matter.
    ///   - limits: of the tables; of what is gone there may be several times as much.
    public init(descriptor: CInt, limits: CheckpointContents.Limits) throws(CheckpointError) {
        var reader = try CheckpointReader(descriptor)
        header = reader.header
        let changeLimit = 4 * limits.bindings + 1 << 20
        // One that was put and that packets went through then stands twice; the last is how it is.
        var positions: [String: Int] = [:]
        var memberCount = 0
        while let (kind, count) = try reader.next() {
            var records = CheckpointRecords(reader.payload)
            for _ in 0..<count {
                switch kind {
                case .changedBindings:
                    let (saved, isFromFile) = try records.binding()
                    if let position = positions[saved.binding.id] {
                        guard position >= 0 else { throw .malformed("a binding is there and gone") }
                        bindings[position] = saved
                    } else {
                        positions[saved.binding.id] = bindings.count
                        bindings.append(saved)
                    }
                    if isFromFile { fileBindings.insert(saved.binding.id) }
                case .removedBindings:
                    let id = try records.id()
                    guard positions.updateValue(-1, forKey: id) == nil else {
                        throw .malformed("a binding is there and gone")
                    }
                    removed.append(id)
                case .changedGroups:
                    let part = try records.group()
                    memberCount += part.members.count
                    let isSame = groups.last?.address == part.address && !part.isFirst
                    let before = isSame ? groups.removeLast().members : []
                    groups.append(
                        BindingTable.Group(address: part.address, members: before + part.members.map(\.id)))
                    let fromFile = part.members.lazy.filter(\.isFromFile).map(\.id)
                    fileMembers[part.address, default: []].formUnion(fromFile)
                case .end:
                    let end = try records.end()
                    guard end.lastRevision < 1 << 62 else { throw .malformed("revision \(end.lastRevision)") }
                    (lastRevision, file) = (end.lastRevision, end.file)
                case .bindings, .groups:
                    throw .malformed("a copy where only changes are expected")
                }
            }
            guard records.isAtEnd else { throw .malformed("a block has bytes behind its records") }
            guard positions.count <= changeLimit, groups.count <= changeLimit else {
                throw .tooMany("changes", option: "--max-bindings", limit: changeLimit)
            }
            guard bindings.count <= limits.bindings else {
                throw .tooMany("bindings", option: "--max-bindings", limit: limits.bindings)
            }
            guard memberCount <= limits.members else {
                throw .tooMany("members of groups", option: "--max-members", limit: limits.members)
            }
        }
    }
}
