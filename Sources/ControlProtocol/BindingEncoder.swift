// Bindings as the bytes of `Binding` messages, straight from the value: the same that swift-protobuf makes of
// `ControlBinding(binding)`, at a fraction of its time. Numbers of fields are those of control.proto.

import Bindings
import NIOCore
import Wire

extension Binding {
    /// Bytes of the message, without its tag and length in a batch.
    var encodedSize: Int {
        var size = id.isEmpty ? 0 : BindingEncoder.size(ofField: id.utf8.count)
        if homeAddress != nil { size += 5 }
        size += careOfAddress.rawValue == 0 ? 0 : 5
        if endpoint != nil { size += 5 }
        size += 2
        if let gre { size += BindingEncoder.size(ofField: gre.encodedSize) }
        if let udpPort { size += 1 + BindingEncoder.size(of: UInt64(udpPort)) }
        for bound in prefixes { size += BindingEncoder.size(ofField: bound.encodedSize) }
        size += 4
        if let tunnelMTU { size += 1 + BindingEncoder.size(of: UInt64(tunnelMTU)) }
        if let lifetime { size += 1 + BindingEncoder.size(of: UInt64(lifetime)) }
        if mtuDiscovery { size += 2 }
        if udpEncapsulation != .ipInIP { size += 2 }
        for network in networks { size += BindingEncoder.size(ofField: network.encodedSize) }
        if role != .homeAgent { size += 3 }
        return size
    }
}

extension GREOptions {
    fileprivate var encodedSize: Int {
        (key.map { 1 + BindingEncoder.size(of: UInt64($0)) } ?? 0) + (sequence ? 2 : 0) + (checksum ? 2 : 0)
    }
}

extension BoundPrefix {
    fileprivate var encodedSize: Int {
        18 + (prefix.length == 0 ? 0 : 1 + BindingEncoder.size(of: UInt64(prefix.length))) + 2
    }
}

extension IPv4Prefix {
    fileprivate var encodedSize: Int { (address.rawValue == 0 ? 0 : 5) + (length == 0 ? 0 : 2) }
}

extension ByteBuffer {
    /// Appends a binding as a field `bindings` of `PutBindings`.
    mutating func write(_ binding: Binding, encodedSize: Int) {
        let size = BindingEncoder.size(ofField: encodedSize)
        writeWithUnsafeMutableBytes(minimumWritableBytes: size) { space in
            var encoder = BindingEncoder(next: space.baseAddress!)
            encoder.write(binding, encodedSize: encodedSize)
            precondition(encoder.next == space.baseAddress! + size, "a binding has the size that was computed")
            return size
        }
    }
}

/// Writes to memory that has room.
private struct BindingEncoder {
    var next: UnsafeMutableRawPointer

    static func size(of number: UInt64) -> Int { max(1, (70 - number.leadingZeroBitCount) / 7) }

    /// Of a field with so many bytes in it; its tag is one byte.
    static func size(ofField length: Int) -> Int { 1 + size(of: UInt64(length)) + length }

    private mutating func byte(_ byte: UInt8) {
        next.storeBytes(of: byte, as: UInt8.self)
        next += 1
    }

    private mutating func number(_ number: UInt64) {
        var rest = number
        while rest >= 0x80 {
            byte(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        byte(UInt8(rest))
    }

    private mutating func number(_ field: UInt8, _ value: UInt64) {
        byte(field << 3)
        number(value)
    }

    private mutating func fixed(_ field: UInt8, _ address: IPv4Address) {
        byte(field << 3 | 5)
        next.storeBytes(of: address.rawValue.littleEndian, as: UInt32.self)
        next += 4
    }

    private mutating func begin(_ field: UInt8, length: Int) {
        byte(field << 3 | 2)
        number(UInt64(length))
    }

    mutating func write(_ binding: Binding, encodedSize: Int) {
        begin(1, length: encodedSize)
        var id = binding.id
        id.withUTF8 { bytes in
            guard let start = bytes.baseAddress, !bytes.isEmpty else { return }
            begin(1, length: bytes.count)
            next.copyMemory(from: start, byteCount: bytes.count)
            next += bytes.count
        }
        if let homeAddress = binding.homeAddress { fixed(2, homeAddress) }
        if binding.careOfAddress.rawValue != 0 { fixed(3, binding.careOfAddress) }
        if let endpoint = binding.endpoint { fixed(4, endpoint) }
        number(5, UInt64(ControlEncapsulation(binding.encapsulation).rawValue))
        if let options = binding.gre {
            begin(6, length: options.encodedSize)
            if let key = options.key { number(1, UInt64(key)) }
            if options.sequence { number(2, 1) }
            if options.checksum { number(3, 1) }
        }
        if let port = binding.udpPort { number(7, UInt64(port)) }
        for bound in binding.prefixes { write(bound) }
        number(9, UInt64((binding.dscp == .pipe ? ControlDSCPModel.pipe : .uniform).rawValue))
        number(10, UInt64((binding.ecn == .compatibility ? ControlECNMode.compatibility : .normal).rawValue))
        if let tunnelMTU = binding.tunnelMTU { number(11, UInt64(tunnelMTU)) }
        if let lifetime = binding.lifetime { number(12, UInt64(lifetime)) }
        if binding.mtuDiscovery { number(13, 1) }
        switch binding.udpEncapsulation {
        case .ipInIP: break
        case .gre: number(14, UInt64(ControlEncapsulation.gre.rawValue))
        case .minimal: number(14, UInt64(ControlEncapsulation.minimal.rawValue))
        }
        for network in binding.networks {
            begin(15, length: network.encodedSize)
            if network.address.rawValue != 0 { fixed(1, network.address) }
            if network.length > 0 { number(2, UInt64(network.length)) }
        }
        if binding.role == .mobileNode {
            // The only tag of two bytes.
            number(16 << 3)
            number(UInt64(ControlRole.mobileNode.rawValue))
        }
    }

    private mutating func write(_ bound: BoundPrefix) {
        begin(8, length: bound.encodedSize)
        begin(1, length: 16)
        next.storeBytes(of: bound.prefix.address.high.bigEndian, as: UInt64.self)
        (next + 8).storeBytes(of: bound.prefix.address.low.bigEndian, as: UInt64.self)
        next += 16
        if bound.prefix.length > 0 { number(2, UInt64(bound.prefix.length)) }
        number(3, UInt64((bound.tunnel == .careOf ? ControlPrefixTunnel.careOf : .homeAddress).rawValue))
    }
}
