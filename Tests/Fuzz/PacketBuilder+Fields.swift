// Changes of fields at the places where headers have them.

import TestSupport
import Wire

extension PacketBuilder {
    /// One field of one header.
    mutating func changeField(_ targets: TunnelTargets) {
        layers.find(in: start, length: length)
        guard layers.count > 0 else { return }
        let layer = layers[random.below(layers.count)]
        let at = layer.offset
        switch layer.kind {
        case .ipv4: changeIPv4(at, targets)
        case .ipv6: changeIPv6(at, targets)
        case .udp: changeUDP(at, targets)
        case .gre: changeGRE(at, targets)
        case .minimal: changeMinimal(at, targets)
        case .mobileTunnelData:
            start.storeByte(random.below(4) == 0 ? UInt8(random.below(256)) : tunnelledProtocol(), at: at + 1)
            if random.below(8) == 0 { start.storeByte(UInt8(random.below(8)), at: at) }
        case .icmpv4: changeICMPv4(at)
        case .icmpv6: start.storeByte(UInt8(random.below(2) == 0 ? random.below(5) : 128 + random.below(16)), at: at)
        }
    }

    private mutating func changeIPv4(_ at: Int, _ targets: TunnelTargets) {
        switch random.below(12) {
        case 0: start.storeByte(UInt8(random.below(2) == 0 ? random.below(256) : 0x40 | random.below(16)), at: at)
        case 1: start.storeByte(UInt8(random.below(256)), at: at + 1)
        case 2: start.storeNetwork(nearLength(length - at), at: at + 2)
        case 3:
            // More fragments, don't fragment, the reserved bit, offsets.
            let flags = UInt16(random.below(8)) << 13
            start.storeNetwork(flags | UInt16(random.below(2) * random.below(0x2000)), at: at + 6)
        case 4: start.storeByte(UInt8(random.below(2) * random.below(256)), at: at + 8)
        case 5, 6: start.storeByte(tunnelledProtocol(), at: at + 9)
        case 7: start.storeByte(UInt8(random.below(256)), at: at + 10 + random.below(2))
        case 8: start.storeNetwork(oddAddress(), at: at + (random.below(2) == 0 ? 12 : 16))
        default:
            let target = targets.pick(using: &random)
            start.storeNetwork(anAddress(of: target), at: at + (random.below(2) == 0 ? 12 : 16))
        }
    }

    private mutating func changeIPv6(_ at: Int, _ targets: TunnelTargets) {
        let address = at + (random.below(2) == 0 ? 8 : 24)
        switch random.below(10) {
        case 0: start.storeByte(UInt8(random.below(256)), at: at)
        case 1: start.storeNetwork(UInt16(truncatingIfNeeded: random.next()) & 0xFFF | 0x6000, at: at)
        case 2: start.storeNetwork(nearLength(length - at - 40), at: at + 4)
        case 3, 4: start.storeByte(extensionHeader(), at: at + 6)
        case 5: start.storeByte(UInt8(random.below(2) * random.below(256)), at: at + 7)
        case 6: start.store(oddIPv6Address(), at: address)
        default: start.store(targets.pick(using: &random).inside(using: &random), at: address)
        }
    }

    private mutating func changeUDP(_ at: Int, _ targets: TunnelTargets) {
        switch random.below(5) {
        case 0: start.storeNetwork(targets.pick(using: &random).port, at: at)
        case 1: start.storeNetwork(MobileTunnelData.port, at: at + 2 * random.below(2))
        case 2: start.storeNetwork(nearLength(length - at), at: at + 4)
        case 3: start.storeNetwork(UInt16(random.below(2) * random.below(0x1_0000)), at: at + 6)
        default: start.storeNetwork(UInt16(8 + random.below(6)), at: at + 4)
        }
    }

    private mutating func changeGRE(_ at: Int, _ targets: TunnelTargets) {
        switch random.below(6) {
        case 0: start.storeNetwork(word(at) ^ (0x8000 >> UInt16(random.below(6))), at: at)
        case 1: start.storeNetwork(word(at) & 0xFFF8 | UInt16(random.below(8)), at: at)
        case 2: start.storeNetwork(UInt16(random.below(8)) << 13 | UInt16(random.below(2)) << 12, at: at)
        case 3: start.storeNetwork(random.below(2) == 0 ? GRE.ipv4 : GRE.ipv6, at: at + 2)
        case 4: start.storeNetwork(UInt16(random.below(0x1_0000)), at: at + 2)
        default:
            let field = at + 4 + 4 * random.below(3)
            guard field + 4 <= length else { return }
            let number = UInt32(truncatingIfNeeded: random.next())
            start.storeNetwork(random.below(2) == 0 ? targets.pick(using: &random).key : number, at: field)
        }
    }

    private mutating func changeMinimal(_ at: Int, _ targets: TunnelTargets) {
        switch random.below(5) {
        case 0: start.storeByte(tunnelledProtocol(), at: at)
        case 1: start.storeByte(byte(at + 1) ^ 0x80, at: at + 1)
        case 2: start.storeNetwork(oddAddress(), at: at + 4)
        default: start.storeNetwork(anAddress(of: targets.pick(using: &random)), at: at + 4)
        }
    }

    private mutating func changeICMPv4(_ at: Int) {
        switch random.below(5) {
        case 0: start.storeByte(random.below(2) == 0 ? 8 : 3, at: at)
        case 1: start.storeByte(UInt8(random.below(20)), at: at)
        case 2: start.storeByte(UInt8(random.below(17)), at: at + 1)
        case 3: start.storeByte(UInt8(random.below(2) * random.below(256)), at: at + 5)
        default: start.storeNetwork(UInt16(random.below(0x1_0000)), at: at + 6)
        }
    }

    // MARK: Values

    /// A length field: right, or wrong by little, or by much.
    private mutating func nearLength(_ right: Int) -> UInt16 {
        switch random.below(4) {
        case 0: UInt16(truncatingIfNeeded: right)
        case 1: UInt16(truncatingIfNeeded: right - 4 + random.below(9))
        case 2: UInt16(random.below(64))
        default: UInt16(truncatingIfNeeded: random.next())
        }
    }

    private mutating func tunnelledProtocol() -> UInt8 {
        let protocols: UInt64 = 0x0632_3A37_2F29_1104
        let index = random.below(9)
        return index == 8 ? 1 : UInt8(truncatingIfNeeded: protocols >> UInt64(index * 8))
    }

    private mutating func extensionHeader() -> UInt8 {
        let headers: UInt64 = 0x3A8C_8B87_333C_2C2B
        let index = random.below(9)
        return index == 8 ? 0 : UInt8(truncatingIfNeeded: headers >> UInt64(index * 8))
    }

    /// One of those that no packet may have, or nobody.
    private mutating func oddAddress() -> UInt32 {
        switch random.below(6) {
        case 0: 0
        case 1: 0x7F00_0001
        case 2: 0xE000_0001
        case 3: 0xFFFF_FFFF
        case 4: 0xF000_0001
        default: UInt32(truncatingIfNeeded: random.next())
        }
    }

    private mutating func anAddress(of target: TunnelTarget) -> UInt32 {
        switch random.below(4) {
        case 0: target.endpoint
        case 1: target.careOfAddress
        default: target.homeAddress
        }
    }

    private mutating func oddIPv6Address() -> IPv6Address {
        switch random.below(7) {
        case 0: IPv6Address(high: 0, low: 0)
        case 1: IPv6Address(high: 0, low: 1)
        case 2: IPv6Address(high: 0xFF02 << 48, low: 1)
        case 3: IPv6Address(high: 0xFF0E << 48, low: 1)
        case 4: IPv6Address(high: 0xFE80 << 48, low: random.next())
        case 5: IPv6Address(high: 0, low: (random.below(2) == 0 ? 0xFFFF << 32 : 0) | random.next() & 0xFFFF_FFFF)
        default: IPv6Address(high: random.next(), low: random.next())
        }
    }
}
