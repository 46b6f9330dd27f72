// Writes records one behind the other into a block, and hands the block on when it is full or another kind begins.

import Bindings
import Forwarding
import Wire

/// Encodes a checkpoint.
struct CheckpointEncoder: ~Copyable {
    /// Whether records are those of the copy, or of what was touched since.
    enum Pass { case copy, changes }

    private let space = UnsafeMutableRawBufferPointer.allocate(
        byteCount: CheckpointFormat.blockLimit, alignment: 16)
    private var used = 0
    private var records = 0
    private var kind = CheckpointFormat.Kind.bindings
    private let sink: (CheckpointBlock) -> Void

    /// - Parameter sink: gets the blocks in their order.
    init(sink: @escaping (CheckpointBlock) -> Void) { self.sink = sink }

    deinit { space.deallocate() }

    /// A binding.
    mutating func add(_ saved: borrowing BindingTable.Saved, isFromFile: Bool, _ pass: Pass) {
        begin(pass == .copy ? .bindings : .changedBindings)
        put(Self.flags(of: saved, isFromFile: isFromFile))
        put(saved.binding.id)
        put(saved.binding.careOfAddress.rawValue)
        if let address = saved.binding.homeAddress { put(address.rawValue) }
        if let endpoint = saved.binding.endpoint { put(endpoint.rawValue) }
        if let key = saved.binding.gre?.key { put(key) }
        if let port = saved.binding.udpPort { put(port) }
        if let mtu = saved.binding.tunnelMTU { put(mtu) }
        if let expiry = saved.expiry { put(expiry) }
        put(saved.revision)
        put(UInt16(saved.binding.prefixes.count))
        for bound in saved.binding.prefixes { put(bound) }
        if !saved.binding.networks.isEmpty {
            put(UInt16(saved.binding.networks.count))
            for network in saved.binding.networks {
                put(network.length)
                put(network.address.rawValue)
            }
        }
        put(saved.traffic.packetsToNode)
        put(saved.traffic.bytesToNode)
        put(saved.traffic.packetsFromNode)
        put(saved.traffic.bytesFromNode)
        if !saved.owner.isEmpty { put(saved.owner) }
        if let numbers = saved.sequence {
            put(numbers.next)
            put(numbers.lastAccepted)
        }
    }

    /// A binding that went since the copy began.
    mutating func addRemoved(_ id: String) {
        begin(.removedBindings)
        put(id)
    }

    /// A group, in as many parts as it takes.
    /// - Parameter isFromFile: whether a member is one by the binding file.
    mutating func add(
        group address: IPv6Address, members: [String], isFromFile: (String) -> Bool, _ pass: Pass
    ) {
        var rest = members[...]
        var flags = CheckpointFormat.GroupFlag.first
        repeat {
            begin(pass == .copy ? .groups : .changedGroups)
            let part = rest.prefix(128)
            rest = rest.dropFirst(part.count)
            put(flags)
            put(address.high)
            put(address.low)
            put(UInt16(part.count))
            for id in part {
                put(isFromFile(id) ? UInt8(1) : 0)
                put(id)
            }
            flags = 0
        } while !rest.isEmpty
    }

    /// What concerns all of it. Nothing may come behind.
    mutating func end(bindings: Int, members: Int, lastRevision: UInt64, file: CheckpointFileDigest?) {
        begin(.end)
        put(UInt64(bindings))
        put(UInt64(members))
        put(lastRevision)
        put(UInt8(file == nil ? 0 : 1))
        put(file?.size ?? 0)
        put(file?.checksum ?? 0)
        seal()
    }

    private static func flags(of saved: borrowing BindingTable.Saved, isFromFile: Bool) -> UInt32 {
        typealias Flag = CheckpointFormat.Flag
        var flags: UInt32 = 0
        if saved.binding.homeAddress != nil { flags |= Flag.homeAddress }
        if saved.binding.endpoint != nil { flags |= Flag.endpoint }
        if let gre = saved.binding.gre {
            flags |= Flag.gre
            if gre.key != nil { flags |= Flag.greKey }
            if gre.sequence { flags |= Flag.greSequence }
            if gre.checksum { flags |= Flag.greChecksum }
        }
        if saved.binding.udpPort != nil { flags |= Flag.udpPort }
        if saved.binding.dscp == .pipe { flags |= Flag.pipe }
        if saved.binding.ecn == .compatibility { flags |= Flag.ecnCompatibility }
        if saved.binding.tunnelMTU != nil { flags |= Flag.tunnelMTU }
        if saved.binding.mtuDiscovery { flags |= Flag.mtuDiscovery }
        if saved.expiry != nil { flags |= Flag.expiry }
        if isFromFile { flags |= Flag.fromFile }
        if saved.sequence != nil { flags |= Flag.sequenceNumbers }
        if !saved.owner.isEmpty { flags |= Flag.owner }
        if saved.binding.role == .mobileNode { flags |= Flag.mobileNode }
        if !saved.binding.networks.isEmpty { flags |= Flag.networks }
        flags |= saved.binding.encapsulation.number << Flag.encapsulationShift
        return flags | saved.binding.udpEncapsulation.number << Flag.udpEncapsulationShift
    }

    // MARK: Bytes

    /// Makes room for a record of that kind.
    private mutating func begin(_ kind: CheckpointFormat.Kind) {
        if records > 0, kind != self.kind || used + CheckpointFormat.recordLimit > space.count { seal() }
        self.kind = kind
        records += 1
    }

    private mutating func seal() {
        sink(CheckpointBlock(kind: kind, records: records, payload: UnsafeRawBufferPointer(rebasing: space[..<used])))
        (used, records) = (0, 0)
    }

    private mutating func put<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number) {
        space.store(number, at: used)
        used += MemoryLayout<Number>.size
    }

    /// A length and so many bytes.
    private mutating func put(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            put(UInt8(bytes.count))
            UnsafeMutableRawBufferPointer(rebasing: space[used...]).copyMemory(from: UnsafeRawBufferPointer(bytes))
            used += bytes.count
        }
    }

    /// The tunnel, the length, and as many bytes of the address as that needs.
    private mutating func put(_ bound: BoundPrefix) {
        put(UInt8(bound.tunnel == .careOf ? 0 : 1))
        put(bound.prefix.length)
        var bits = (bound.prefix.address.high.bigEndian, bound.prefix.address.low.bigEndian)
        let count = (Int(bound.prefix.length) + 7) / 8
        withUnsafeBytes(of: &bits) { bits in
            UnsafeMutableRawBufferPointer(rebasing: space[used...]).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: bits[..<count]))
        }
        used += count
    }
}

extension Encapsulation {
    /// As a checkpoint has it.
    var number: UInt32 {
        switch self {
        case .ipInIP: 0
        case .gre: 1
        case .minimal: 2
        case .udp: 3
        }
    }

    /// Of a number below 4.
    init(number: UInt32) {
        switch number {
        case 0: self = .ipInIP
        case 1: self = .gre
        case 2: self = .minimal
        default: self = .udp
        }
    }
}

extension UDPEncapsulation {
    /// As a checkpoint has it.
    var number: UInt32 {
        switch self {
        case .ipInIP: 0
        case .gre: 1
        case .minimal: 2
        }
    }

    /// Nil for numbers that mean nothing.
    init?(number: UInt32) {
        guard let found = Self.allCases.first(where: { $0.number == number }) else { return nil }
        self = found
    }
}
