// Reads the records of a block whose checksum is right. That says only that somebody wrote it so: each length is checked
// against what is there, and what a record says is judged by the table as though it came by the socket.

import Bindings
import Forwarding
import Wire

/// The records of a block, from the first that was not read yet.
struct CheckpointRecords {
    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// Whether all was read.
    var isAtEnd: Bool { position == bytes.count }

    /// A binding, and whether the binding file named it.
    mutating func binding() throws(CheckpointError) -> (BindingTable.Saved, isFromFile: Bool) {
        typealias Flag = CheckpointFormat.Flag
        let flags = try number(UInt32.self)
        guard flags & ~Flag.all == 0 else { throw .malformed("a binding has unknown flags") }
        func has(_ flag: UInt32) -> Bool { flags & flag != 0 }
        var binding = Binding(id: try id(), careOfAddress: IPv4Address(rawValue: try number(UInt32.self)))
        binding.encapsulation = Encapsulation(number: flags >> Flag.encapsulationShift & 3)
        guard let inside = UDPEncapsulation(number: flags >> Flag.udpEncapsulationShift & 3) else {
            throw .malformed("a binding has unknown flags")
        }
        binding.udpEncapsulation = inside
        if has(Flag.homeAddress) { binding.homeAddress = IPv4Address(rawValue: try number(UInt32.self)) }
        if has(Flag.endpoint) { binding.endpoint = IPv4Address(rawValue: try number(UInt32.self)) }
        if has(Flag.gre) {
            binding.gre = GREOptions(
                key: has(Flag.greKey) ? try number(UInt32.self) : nil, sequence: has(Flag.greSequence),
                checksum: has(Flag.greChecksum))
        }
        if has(Flag.udpPort) { binding.udpPort = try number(UInt16.self) }
        if has(Flag.pipe) { binding.dscp = .pipe }
        if has(Flag.ecnCompatibility) { binding.ecn = .compatibility }
        if has(Flag.tunnelMTU) { binding.tunnelMTU = try number(UInt16.self) }
        binding.mtuDiscovery = has(Flag.mtuDiscovery)
        if has(Flag.mobileNode) { binding.role = .mobileNode }
        let expiry = has(Flag.expiry) ? try number(UInt64.self) : nil
        let revision = try number(UInt64.self)
        let count = Int(try number(UInt16.self))
        guard count <= BindingLimits.prefixesPerBinding else { throw .malformed("a binding has \(count) prefixes") }
        binding.prefixes.reserveCapacity(count)
        for _ in 0..<count { binding.prefixes.append(try prefix()) }
        if has(Flag.networks) { binding.networks = try networks() }
        var traffic = BindingTraffic()
        traffic.packetsToNode = try number(UInt64.self)
        traffic.bytesToNode = try number(UInt64.self)
        traffic.packetsFromNode = try number(UInt64.self)
        traffic.bytesFromNode = try number(UInt64.self)
        var owner = ""
        if has(Flag.owner) {
            let length = Int(try number(UInt8.self))
            guard length <= BindingLimits.ownerLength else { throw .malformed("an owner's name of \(length) bytes") }
            owner = String(decoding: try take(length), as: UTF8.self)
            guard owner.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
                throw .malformed("an owner's name has other characters than printable ASCII")
            }
        }
        var sequence: BindingTable.SequenceNumbers?
        if has(Flag.sequenceNumbers) {
            sequence = BindingTable.SequenceNumbers(
                next: try number(UInt32.self), lastAccepted: try number(UInt32.self))
        }
        return (
            BindingTable.Saved(
                binding: binding, expiry: expiry, revision: revision, traffic: traffic, sequence: sequence,
                owner: owner),
            has(Flag.fromFile)
        )
    }

    /// A part of a group: whether it is the first, and members with whether the binding file named them.
    mutating func group() throws(CheckpointError) -> (
        address: IPv6Address, isFirst: Bool, members: [(id: String, isFromFile: Bool)]
    ) {
        let flags = try number(UInt8.self)
        let high = try number(UInt64.self)
        let address = IPv6Address(high: high, low: try number(UInt64.self))
        let count = try number(UInt16.self)
        var members: [(id: String, isFromFile: Bool)] = []
        for _ in 0..<count {
            let isFromFile = try number(UInt8.self) != 0
            members.append((try id(), isFromFile))
        }
        return (address, flags & CheckpointFormat.GroupFlag.first != 0, members)
    }

    /// The last record.
    mutating func end() throws(CheckpointError) -> (
        bindings: UInt64, members: UInt64, lastRevision: UInt64, file: CheckpointFileDigest?
    ) {
        let bindings = try number(UInt64.self)
        let members = try number(UInt64.self)
        let lastRevision = try number(UInt64.self)
        let hasFile = try number(UInt8.self) != 0
        let size = try number(UInt64.self)
        let digest = CheckpointFileDigest(size: size, checksum: try number(UInt32.self))
        return (bindings, members, lastRevision, hasFile ? digest : nil)
    }

    /// An id.
    mutating func id() throws(CheckpointError) -> String {
        let length = Int(try number(UInt8.self))
        let bytes = try take(length)
        let id = String(decoding: bytes, as: UTF8.self)
        guard Binding.isID(id) else { throw .malformed("a binding has no proper id") }
        return id
    }

    private mutating func networks() throws(CheckpointError) -> [IPv4Prefix] {
        let count = Int(try number(UInt16.self))
        guard (1...BindingLimits.networksPerBinding).contains(count) else {
            throw .malformed("a binding has \(count) networks")
        }
        var networks: [IPv4Prefix] = []
        networks.reserveCapacity(count)
        for _ in 0..<count {
            let length = try number(UInt8.self)
            guard
                let network = IPv4Prefix(address: IPv4Address(rawValue: try number(UInt32.self)), length: Int(length))
            else { throw .malformed("a network of \(length) bits, or bits are set behind its end") }
            networks.append(network)
        }
        return networks
    }

    private mutating func prefix() throws(CheckpointError) -> BoundPrefix {
        let tunnel = try number(UInt8.self)
        let length = try number(UInt8.self)
        guard tunnel <= 1, length <= 128 else { throw .malformed("a prefix of \(length) bits by tunnel \(tunnel)") }
        let bytes = try take((Int(length) + 7) / 8)
        var bits = (UInt64(0), UInt64(0))
        withUnsafeMutableBytes(of: &bits) { $0.copyMemory(from: bytes) }
        let address = IPv6Address(high: UInt64(bigEndian: bits.0), low: UInt64(bigEndian: bits.1))
        guard let prefix = IPv6Prefix(address: address, length: Int(length)) else {
            throw .malformed("bits are set behind the end of a prefix")
        }
        return BoundPrefix(prefix, tunnel: tunnel == 0 ? .careOf : .homeAddress)
    }

    private mutating func number<Number: FixedWidthInteger & BitwiseCopyable>(
        _ type: Number.Type
    ) throws(CheckpointError) -> Number {
        guard bytes.count - position >= MemoryLayout<Number>.size else {
            throw .malformed("a record goes beyond its block")
        }
        defer { position += MemoryLayout<Number>.size }
        return bytes.number(type, at: position)
    }

    private mutating func take(_ count: Int) throws(CheckpointError) -> UnsafeRawBufferPointer {
        guard bytes.count - position >= count else { throw .malformed("a record goes beyond its block") }
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
    }
}
