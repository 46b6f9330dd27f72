// Tables to save, and all that can be said of one, to compare.

import Bindings
import Checkpoint
import Forwarding
import Glibc
import TestSupport
import Wire

/// Where the bindings of a test come from.
final class SampleOrigin: CheckpointOrigin {
    var fileBindings: Set<String> = []
    var fileMembers: [IPv6Address: Set<String>] = [:]
    var fileDigest: CheckpointFileDigest?

    func isFromFile(_ id: String) -> Bool { fileBindings.contains(id) }
    func isFromFile(_ id: String, of group: IPv6Address) -> Bool { fileMembers[group]?.contains(id) ?? false }
}

extension CheckpointContents.Limits {
    static let test = CheckpointContents.Limits(bindings: 5000, prefixes: 20_000, members: 5000)
}

extension BindingTable {
    static func sample() throws -> BindingTable {
        var configuration = Configuration()
        configuration.bindingLimit = CheckpointContents.Limits.test.bindings
        configuration.prefixLimit = CheckpointContents.Limits.test.prefixes
        configuration.memberLimit = CheckpointContents.Limits.test.members
        configuration.endpoint = IPv4Address("192.0.2.1")
        return try BindingTable(configuration)
    }

    /// Everything but traffic and sequence numbers.
    var dump: [String] {
        let bindings = ids(after: "", limit: .max).map { id in
            guard let saved = saved(id) else { return "nothing of \(id)" }
            var binding = saved.binding
            binding.lifetime = nil
            let held = binding.prefixes.map { holder(of: $0.prefix.address) ?? "nobody" }
            return
                "\(binding) until \(saved.expiry ?? 0), revision \(saved.revision), of \(saved.owner), held by \(held)"
        }
        return bindings + groups().map { "\($0.address): \($0.members)" } + ["\(prefixCount) prefixes"]
    }

    /// A table with what a checkpoint has.
    static func restored(from contents: ReadCheckpoint, now: UInt64 = 0) throws -> BindingTable {
        let table = try sample()
        let refused = try table.restore(
            contents.bindings, groups: contents.groups, lastRevision: contents.lastRevision, now: now)
        precondition(refused.isEmpty, "\(refused)")
        return table
    }

    /// Fills a new table.
    func restore(
        _ bindings: [Saved], groups: [Group] = [], lastRevision: UInt64, now: UInt64 = 0
    ) throws(BindingTableError) -> [(id: String, reason: BindingTableError)] {
        var restoration = Restoration(into: self, expecting: bindings.count, continuesSequences: true, now: now)
        for saved in bindings { try restoration.add(saved) }
        return try restoration.finish(groups: groups, lastRevision: lastRevision)
    }
}

/// A checkpoint with all its bindings at once.
@dynamicMemberLookup struct ReadCheckpoint {
    private let contents: CheckpointContents
    let bindings: [BindingTable.Saved]

    init(_ descriptor: CInt, limits: CheckpointContents.Limits = .test) throws(CheckpointError) {
        var contents = try CheckpointContents(descriptor: descriptor, limits: limits)
        var bindings: [BindingTable.Saved] = []
        try contents.read { bindings.append($0) }
        (self.contents, self.bindings) = (contents, bindings)
    }

    subscript<Value>(dynamicMember path: KeyPath<CheckpointContents, Value>) -> Value { contents[keyPath: path] }
}

/// Random bindings of every kind; node `number` has prefixes that no other has.
func sampleBinding(_ number: Int, using generator: inout SeededGenerator) -> Binding {
    var binding = Binding(
        id: Bool.random(using: &generator) ? "mn\(number)" : "a-node-with-a-long-name-\(number)",
        careOfAddress: IPv4Address(rawValue: 0x0A00_0001 + UInt32.random(in: 0..<5000, using: &generator)))
    binding.encapsulation = Encapsulation.allCases.randomElement(using: &generator) ?? .ipInIP
    if binding.encapsulation == .udp {
        binding.udpEncapsulation = UDPEncapsulation.allCases.randomElement(using: &generator) ?? .ipInIP
    }
    if Bool.random(using: &generator) || binding.isMinimal {
        binding.homeAddress = IPv4Address(rawValue: 0xC633_0000 + UInt32(number))
    }
    if Bool.random(using: &generator) {
        binding.endpoint = IPv4Address("192.0.2.\(Int.random(in: 2...9, using: &generator))")
    }
    if binding.carriesGRE, Bool.random(using: &generator) {
        binding.gre = GREOptions(
            key: Bool.random(using: &generator) ? .random(in: 0 ... .max, using: &generator) : nil,
            sequence: Bool.random(using: &generator), checksum: Bool.random(using: &generator))
    }
    if binding.encapsulation == .udp { binding.udpPort = .random(in: 1 ... .max, using: &generator) }
    for part in 0..<Int.random(in: 0...3, using: &generator) {
        let tunnels = PrefixTunnel.allCases.filter {
            $0 == .careOf ? !binding.isMinimal : binding.homeAddress != nil
        }
        guard let tunnel = tunnels.randomElement(using: &generator) else { continue }
        let high = 0x2001_0db8_0000_0000 | UInt64(number) << 16 | UInt64(part) << 12
        binding.prefixes.append(
            BoundPrefix(
                IPv6Prefix(
                    containing: IPv6Address(high: high, low: 1), length: .random(in: 52...128, using: &generator)),
                tunnel: tunnel))
    }
    binding.dscp = Bool.random(using: &generator) ? .pipe : .uniform
    binding.ecn = Bool.random(using: &generator) ? .compatibility : .normal
    if Bool.random(using: &generator) { binding.tunnelMTU = .random(in: 1280...1480, using: &generator) }
    binding.mtuDiscovery = Bool.random(using: &generator)
    for part in 0..<Int.random(in: 0...2, using: &generator) {
        let bits = 0x0A00_0000 | UInt32(number) << 8 | UInt32(part) << 6
        binding.networks.append(IPv4Prefix(address: IPv4Address(rawValue: bits), length: 26)!)
    }
    if binding.homeAddress != nil, Int.random(in: 0..<4, using: &generator) == 0 { binding.role = .mobileNode }
    if Bool.random(using: &generator) { binding.lifetime = .random(in: 1 ... .max, using: &generator) }
    return binding
}

/// Writes a checkpoint whose copying is interrupted by `meanwhile`.
func write(
    _ table: BindingTable, _ origin: SampleOrigin = SampleOrigin(), number: UInt64 = 1, to file: CheckpointFile,
    meanwhile: () throws -> Void = {}
) throws {
    var blocks: [CheckpointBlock] = []
    let snapshot = CheckpointSnapshot(of: table, origin: origin, number: number) { blocks.append($0) }
    while !snapshot.run(for: .zero) { try meanwhile() }
    let writer = try CheckpointWriter(file, header: snapshot.header)
    for block in blocks { try writer.write(block) }
    try writer.commit()
}

/// Reads one checkpoint alone.
func read(_ path: String, limits: CheckpointContents.Limits = .test) throws -> ReadCheckpoint {
    let descriptor = open(path, O_RDONLY)
    defer { close(descriptor) }
    return try ReadCheckpoint(descriptor, limits: limits)
}
