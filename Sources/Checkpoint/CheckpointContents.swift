// Reads a checkpoint from a descriptor in two passes of a block at a time, so that memory is bounded by what the tables
// may hold and not by the file. The first pass checks all checksums and takes what concerns all: only a checkpoint that
// is whole is looked at any further. The second hands each binding on as it is read, and takes the groups.

import Bindings
import Forwarding
import Glibc
import Wire

/// What a checkpoint holds beside its bindings.
public struct CheckpointContents: Sendable {
    /// What it holds at the most; more is an error that names the option to raise.
    public struct Limits: Sendable {
        /// Bindings.
        public var bindings: Int
        /// Prefixes of all bindings.
        public var prefixes: Int
        /// Members of all groups.
        public var members: Int

        /// Limits.
        public init(bindings: Int, prefixes: Int, members: Int) {
            self.bindings = bindings
            self.prefixes = prefixes
            self.members = members
        }
    }

    /// Of the whole.
    public let header: CheckpointHeader
    /// How many bindings it says that there are.
    public let bindingCount: Int
    /// The last revision that was given.
    public let lastRevision: UInt64
    /// The binding file that was read last.
    public let file: CheckpointFileDigest?
    /// In bytes.
    public let size: Int
    /// Groups with their members in the order in which they joined; this and the following by `read`.
    public private(set) var groups: [BindingTable.Group] = []
    /// Ids of bindings that the binding file named.
    public private(set) var fileBindings: Set<String> = []
    /// Members that the binding file named.
    public private(set) var fileMembers: [IPv6Address: Set<String>] = [:]

    private let descriptor: CInt
    private let limits: Limits
    private let toldMembers: UInt64
    /// Bindings and groups that are told of again behind the copy.
    private var outdated: Set<String> = []
    private var outdatedGroups: Set<IPv6Address> = []
    private var readCount = 0
    private var prefixCount = 0
    private var memberCount = 0
    private var groupPositions: [IPv6Address: Int] = [:]

    /// Looks through a checkpoint.
    /// - Parameter descriptor: of a file, whose offset does not matter; open until `read` is done.
    public init(descriptor: CInt, limits: Limits) throws(CheckpointError) {
        self.descriptor = descriptor
        self.limits = limits
        var reader = try CheckpointReader(descriptor)
        header = reader.header
        var end: (bindings: UInt64, members: UInt64, lastRevision: UInt64, file: CheckpointFileDigest?)?
        // All that is touched while a copy is made comes from as many bindings, or from some that are gone.
        let changeLimit = 4 * limits.bindings + 1 << 20
        while let (kind, count) = try reader.next() {
            var records = CheckpointRecords(reader.payload)
            switch kind {
            case .changedBindings:
                for _ in 0..<count { outdated.insert(try records.binding().0.binding.id) }
            case .removedBindings:
                for _ in 0..<count { outdated.insert(try records.id()) }
            case .changedGroups:
                for _ in 0..<count { outdatedGroups.insert(try records.group().address) }
            case .end:
                end = try records.end()
            case .bindings, .groups:
                continue
            }
            guard records.isAtEnd else { throw .malformed("a block has bytes behind its records") }
            guard outdated.count <= changeLimit, outdatedGroups.count <= changeLimit else {
                throw .tooMany("changes", option: "--max-bindings", limit: changeLimit)
            }
        }
        guard let end else { preconditionFailure("a reader ends behind the last block") }
        guard end.bindings <= limits.bindings else {
            throw .tooMany("bindings", option: "--max-bindings", limit: limits.bindings)
        }
        guard end.lastRevision < 1 << 62 else { throw .malformed("revision \(end.lastRevision)") }
        bindingCount = Int(end.bindings)
        toldMembers = end.members
        lastRevision = end.lastRevision
        file = end.file
        size = reader.position
    }

    /// Reads the bindings, and all else. To be called once.
    /// - Parameter body: takes each binding, in any order, with its lifetime on the clock of the checkpoint.
    public mutating func read(
        eachBinding body: (BindingTable.Saved) throws(CheckpointError) -> Void
    ) throws(CheckpointError) {
        var last: [String: (BindingTable.Saved, isFromFile: Bool)?] = [:]
        var reader = try CheckpointReader(descriptor)
        while let (kind, count) = try reader.next() {
            var records = CheckpointRecords(reader.payload)
            for _ in 0..<count {
                switch kind {
                case .bindings:
                    let (saved, isFromFile) = try records.binding()
                    if outdated.isEmpty || !outdated.contains(saved.binding.id) { try take(saved, isFromFile, body) }
                case .changedBindings:
                    let change = try records.binding()
                    last[change.0.binding.id] = .some(change)
                case .removedBindings:
                    last[try records.id()] = .some(nil)
                case .groups, .changedGroups:
                    let part = try records.group()
                    if kind == .groups, outdatedGroups.contains(part.address) { continue }
                    try take(part)
                case .end:
                    _ = try records.end()
                }
            }
            guard records.isAtEnd else { throw .malformed("a block has bytes behind its records") }
        }
        for case .some(let change) in last.values { try take(change.0, change.isFromFile, body) }
        guard readCount == bindingCount, memberCount == toldMembers else {
            throw .malformed(
                "\(readCount) bindings and \(memberCount) members, where \(bindingCount) and \(toldMembers) are told")
        }
        groups.removeAll { $0.members.isEmpty }
    }

    private mutating func take(
        _ saved: BindingTable.Saved, _ isFromFile: Bool,
        _ body: (BindingTable.Saved) throws(CheckpointError) -> Void
    ) throws(CheckpointError) {
        prefixCount += saved.binding.prefixes.count + saved.binding.networks.count
        guard readCount < limits.bindings else {
            throw .tooMany("bindings", option: "--max-bindings", limit: limits.bindings)
        }
        guard prefixCount <= limits.prefixes else {
            throw .tooMany("prefixes", option: "--max-prefixes", limit: limits.prefixes)
        }
        guard saved.revision <= lastRevision else { throw .malformed("revision \(saved.revision) of a binding") }
        if isFromFile { fileBindings.insert(saved.binding.id) }
        readCount += 1
        try body(saved)
    }

    private mutating func take(
        _ part: (address: IPv6Address, isFirst: Bool, members: [(id: String, isFromFile: Bool)])
    ) throws(CheckpointError) {
        let position = groupPositions[part.address] ?? groups.count
        var members = position < groups.count ? groups[position].members : []
        if part.isFirst {
            memberCount -= members.count
            members = []
            fileMembers[part.address] = nil
        }
        members += part.members.map(\.id)
        memberCount += part.members.count
        guard memberCount <= limits.members, groups.count <= limits.members else {
            throw .tooMany("members of groups", option: "--max-members", limit: limits.members)
        }
        let fromFile = part.members.lazy.filter(\.isFromFile).map(\.id)
        if !fromFile.isEmpty { fileMembers[part.address, default: []].formUnion(fromFile) }
        let group = BindingTable.Group(address: part.address, members: members)
        groupPositions[part.address] = position
        if position < groups.count { groups[position] = group } else { groups.append(group) }
    }
}

extension BindingTable.Saved {
    /// The same with its lifetime on other clocks.
    public func carried(from clock: CheckpointClock, over now: CheckpointClock) -> BindingTable.Saved {
        var saved = self
        saved.expiry = expiry.map { clock.carry($0, over: now) }
        if let expiry = saved.expiry, expiry > now.bootTime {
            saved.binding.lifetime = UInt32(clamping: (expiry - now.bootTime - 1) / 1_000_000_000 + 1)
        }
        return saved
    }
}
