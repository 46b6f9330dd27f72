// Right checksums and lengths, from the inside out, since an outer checksum may be over an inner one.

import Wire

extension PacketBuilder {
    /// Gives every header that can be found its right checksum.
    /// - Parameter lengths: whether the lengths are made right first.
    mutating func mend(lengths: Bool) {
        layers.find(in: start, length: length)
        if lengths { for index in 0..<layers.count { mendLength(layers[index]) } }
        // Sometimes the outermost alone, with what is wrong inside left as it is.
        let innermost = random.below(4) == 0 ? 0 : layers.count - 1
        var index = min(innermost, layers.count - 1)
        while index >= 0 {
            mendChecksum(layers[index])
            index -= 1
        }
    }

    private func mendLength(_ layer: PacketLayers.Layer) {
        let rest = length - layer.offset
        switch layer.kind {
        case .ipv4: start.storeNetwork(UInt16(truncatingIfNeeded: rest), at: layer.offset + 2)
        case .ipv6: start.storeNetwork(UInt16(truncatingIfNeeded: rest - 40), at: layer.offset + 4)
        case .udp: start.storeNetwork(UInt16(truncatingIfNeeded: rest), at: layer.offset + 4)
        default: break
        }
    }

    private func mendChecksum(_ layer: PacketLayers.Layer) {
        let at = layer.offset
        switch layer.kind {
        case .ipv4: mendIPv4Checksum(at: at)
        case .gre:
            guard word(at) & GRE.Flag.checksum != 0, at + 8 <= length else { return }
            store(checksum: InternetChecksum(), over: at..<end(of: layer), at: at + 4)
        case .minimal:
            let header = byte(at + 1) & 0x80 == 0 ? 8 : 12
            store(checksum: InternetChecksum(), over: at..<min(at + header, length), at: at + 2)
        case .icmpv4: store(checksum: InternetChecksum(), over: at..<end(of: layer), at: at + 2)
        case .udp:
            // None is right too over IPv4.
            guard word(at + 6) != 0 else { return }
            mendUDPChecksum(layer)
        case .icmpv6: mendICMPv6Checksum(layer)
        case .ipv6, .mobileTunnelData: break
        }
    }

    func mendIPv4Checksum(at offset: Int) {
        guard offset + 20 <= length else { return }
        let header = min(max(Int(byte(offset) & 15) * 4, 20), length - offset)
        store(checksum: InternetChecksum(), over: offset..<offset + header, at: offset + 10)
    }

    private func mendUDPChecksum(_ layer: PacketLayers.Layer) {
        let count = Int(word(layer.offset + 4))
        let range = layer.offset..<min(layer.offset + max(count, 8), length)
        let packet = UnsafeRawPointer(start)
        var sum = InternetChecksum()
        guard byte(layer.below) >> 4 == 4 else { return }
        sum.add(packet.networkUInt32(at: layer.below + 12))
        sum.add(packet.networkUInt32(at: layer.below + 16))
        sum.add(UInt16(IPProtocol.udp))
        sum.add(UInt16(count))
        store(checksum: sum, over: range, at: layer.offset + 6)
    }

    private func mendICMPv6Checksum(_ layer: PacketLayers.Layer) {
        guard byte(layer.below) >> 4 == 6 else { return }
        let end = min(length, layer.below + 40 + Int(word(layer.below + 4)))
        guard layer.offset + 4 <= end else { return }
        let packet = UnsafeRawPointer(start)
        var sum = InternetChecksum()
        sum.addPseudoHeader(
            source: packet.ipv6Address(at: layer.below + 8), destination: packet.ipv6Address(at: layer.below + 24),
            length: UInt32(end - layer.offset), protocol: IPProtocol.icmpv6)
        store(checksum: sum, over: layer.offset..<end, at: layer.offset + 2)
    }

    /// Where the IPv4 packet that a header lies in says that it ends.
    private func end(of layer: PacketLayers.Layer) -> Int {
        guard byte(layer.below) >> 4 == 4 else { return length }
        return min(length, max(layer.offset + 4, layer.below + Int(word(layer.below + 2))))
    }

    private func store(checksum sum: InternetChecksum, over range: Range<Int>, at offset: Int) {
        guard offset + 2 <= length else { return }
        start.storeNetwork(UInt16(0), at: offset)
        var sum = sum
        sum.add(UnsafeRawBufferPointer(start: start + range.lowerBound, count: range.count))
        start.storeNetwork(sum.checksum, at: offset)
    }
}
