// What a kernel does with packets of a flow, told by what Linux does and not by the forwarder's code: which it joins into a
// super-frame as they arrive (net/ipv4/af_inet.c, net/ipv6/ip6_offload.c, net/ipv4/tcp_offload.c, net/ipv4/udp_offload.c,
// net/ipv4/gre_offload.c), and the packets into which it cuts one. All is plain arithmetic on bytes.

/// A super-frame.
struct JoinedPacket {
    var bytes: [UInt8]
    /// 1 TCP over IPv4, 4 TCP over IPv6, 5 UDP (linux/virtio_net.h).
    var kind: UInt8
    var segmentSize: Int
    var transport: Int
    var count: Int
}

/// A packet of TCP or UDP, perhaps in a tunnel.
struct FlowPacket {
    /// Where the packet that the flow is of begins: 0 where it is in no tunnel.
    let inner: Int
    let transport: Int
    let payload: Int
    let isTCP: Bool
    private(set) var bytes: [UInt8]

    var isIPv4: Bool { bytes[inner] >> 4 == 4 }
    var kind: UInt8 { isTCP ? isIPv4 ? 1 : 4 : 5 }

    /// - Returns: nil where a kernel joins it with no other.
    init?(_ bytes: [UInt8], inTunnel: Bool) {
        guard let inner = inTunnel ? Self.tunnelHeader(bytes) : 0, bytes.count > inner + 28 else { return nil }
        let isIPv4 = bytes[inner] >> 4 == 4
        let transport = inner + (isIPv4 ? 20 : 40)
        guard bytes.count > transport + 8, !isIPv4 || Self.isWholeIPv4(bytes, at: inner),
            isIPv4 || bytes[inner] >> 4 == 6 && number(bytes, inner + 4) == bytes.count - inner - 40
        else { return nil }
        switch bytes[isIPv4 ? inner + 9 : inner + 6] {
        case 6:
            guard bytes.count > transport + 20 else { return nil }
            payload = transport + Int(bytes[transport + 12] >> 4) * 4
            // Nothing but ACK, PSH, ECE, CWR and FIN.
            guard payload >= transport + 20, bytes[transport + 13] & 0x36 == 0x10 else { return nil }
            isTCP = true
        case 17:
            payload = transport + 8
            guard number(bytes, transport + 4) == bytes.count - transport, number(bytes, transport + 6) != 0 else {
                return nil
            }
            isTCP = false
        default: return nil
        }
        guard payload < bytes.count else { return nil }
        (self.bytes, self.inner, self.transport) = (bytes, inner, transport)
        guard internetSum(bytes[transport...], pseudoHeaderSum(length: bytes.count - transport)) == 0xFFFF else {
            return nil
        }
    }

    /// Where the inner packet begins in a tunnel of which a kernel knows how to join what is in it.
    private static func tunnelHeader(_ bytes: [UInt8]) -> Int? {
        guard bytes.count > 28, isWholeIPv4(bytes, at: 0) else { return nil }
        switch bytes[9] {
        case 4, 41: return 20
        case 47:
            // No more than a key.
            guard bytes[20] & ~0x20 == 0, bytes[21] == 0 else { return nil }
            return bytes[20] == 0 ? 24 : 28
        default: return nil
        }
    }

    private static func isWholeIPv4(_ bytes: [UInt8], at start: Int) -> Bool {
        bytes[start] == 0x45 && number(bytes, start + 2) == bytes.count - start
            && number(bytes, start + 6) & 0xBFFF == 0 && internetSum(bytes[start..<start + 20]) == 0xFFFF
    }

    /// Of addresses, protocol and a length (RFC 9293, 3.1; RFC 8200, 8.1).
    private func pseudoHeaderSum(length: Int) -> Int {
        internetSum(bytes[(inner + (isIPv4 ? 12 : 8))..<transport], length + (isTCP ? 6 : 17))
    }

    /// Whether the packet may be the first of a super-frame.
    var mayBegin: Bool { !isTCP || bytes[transport + 13] & 0x09 == 0 }

    /// Whether it may stand behind `count` packets that begin with another, whose payload is of `size` bytes each.
    func follows(_ first: FlowPacket, count: Int, size: Int) -> Bool {
        guard inner == first.inner, transport == first.transport, payload == first.payload, kind == first.kind,
            bytes.count - payload <= size, first.payload + count * size + bytes.count - payload <= 65_535,
            isTCP || count < 64
        else { return false }
        var (mine, others) = (Array(bytes[..<payload]), Array(first.bytes[..<payload]))
        // What may be another, and what it is to be then.
        for start in inner > 0 && isIPv4 ? [0, inner] : inner > 0 ? [0] : isIPv4 ? [0] : [] {
            guard number(mine, start + 4) == (number(others, start + 4) + count) & 0xFFFF else { return false }
            blank(&mine, &others, [start + 2, start + 4, start + 10])
        }
        if !isIPv4 { blank(&mine, &others, [inner + 4]) }
        if isTCP {
            let sequence = { (header: [UInt8]) in
                number(header, transport + 4) << 16 | number(header, transport + 6)
            }
            guard sequence(mine) == (sequence(others) + count * size) & 0xFFFF_FFFF else { return false }
            // The last may push or end; the first alone may have said that it has reduced its window.
            mine[transport + 13] &= ~0x09
            others[transport + 13] &= ~0x80
            blank(&mine, &others, [transport + 4, transport + 6, transport + 16])
        } else {
            blank(&mine, &others, [transport + 4, transport + 6])
        }
        return mine == others
    }

    /// Whether nothing is joined behind it where each has a payload of `size` bytes.
    func ends(size: Int) -> Bool { bytes.count - payload < size || !mayBegin }

    /// The super-frame of this packet and those behind it.
    func joined(with others: [FlowPacket]) -> JoinedPacket {
        var frame = self
        frame.bytes += others.flatMap { $0.bytes[$0.payload...] }
        if isTCP, let last = others.last { frame.bytes[transport + 13] |= last.bytes[transport + 13] & 0x09 }
        frame.writeLengths()
        store(
            frame.pseudoHeaderSum(length: frame.bytes.count - transport), &frame.bytes, transport + (isTCP ? 16 : 6))
        return JoinedPacket(
            bytes: frame.bytes, kind: kind, segmentSize: bytes.count - payload, transport: transport,
            count: others.count + 1)
    }

    private mutating func writeLengths() {
        for start in inner > 0 ? [0, inner] : [0] where bytes[start] >> 4 == 4 {
            store(bytes.count - start, &bytes, start + 2)
            writeHeaderChecksum(start)
        }
        if inner > 0, bytes[9] == 17 { store(bytes.count - 20, &bytes, 24) }
        if !isIPv4 { store(bytes.count - inner - 40, &bytes, inner + 4) }
        if !isTCP { store(bytes.count - transport, &bytes, transport + 4) }
    }

    private mutating func writeHeaderChecksum(_ start: Int) {
        let length = Int(bytes[start] & 0xF) * 4
        store(0, &bytes, start + 10)
        store(~internetSum(bytes[start..<start + length]), &bytes, start + 10)
    }

    // Cutting.

    private init(_ frame: JoinedPacket, inner: Int) {
        (bytes, transport, self.inner) = (frame.bytes, frame.transport, inner)
        isTCP = frame.kind != 5
        payload = transport + (isTCP ? Int(bytes[transport + 12] >> 4) * 4 : 8)
    }

    /// The packets of a super-frame; nil where a kernel would not take it for one of so many.
    static func cut(_ frame: JoinedPacket) -> [[UInt8]]? {
        let bytes = frame.bytes
        // To the access side it goes in a tunnel: IP, GRE with a key or without, or UDP with tunnel data.
        let isTunnel = frame.transport != (bytes[0] >> 4 == 4 ? Int(bytes[0] & 0xF) * 4 : 40) && bytes[0] >> 4 == 4
        let inner = !isTunnel ? 0 : bytes[9] == 17 ? 32 : bytes[9] != 47 ? 20 : bytes[20] & 0x20 == 0 ? 24 : 28
        let whole = FlowPacket(frame, inner: inner)
        let checksum = whole.transport + (whole.isTCP ? 16 : 6)
        let length = bytes.count - whole.transport
        var pseudo = whole
        if bytes[inner] >> 4 == 6, bytes[inner + 6] != 6, bytes[inner + 6] != 17 { return nil }
        guard whole.kind == frame.kind, number(bytes, checksum) == pseudo.pseudoHeaderSum(length: length),
            (bytes.count - whole.payload + frame.segmentSize - 1) / frame.segmentSize == frame.count
        else { return nil }
        pseudo.writeLengths()
        guard pseudo.bytes == bytes else { return nil }
        return (0..<frame.count).map { whole.segment($0, of: frame.count, size: frame.segmentSize) }
    }

    private func segment(_ place: Int, of count: Int, size: Int) -> [UInt8] {
        var packet = self
        let start = payload + place * size
        packet.bytes = Array(bytes[..<payload] + bytes[start..<min(start + size, bytes.count)])
        for start in inner > 0 ? [0, inner] : [0] where bytes[start] >> 4 == 4 {
            store(number(bytes, start + 4) + place, &packet.bytes, start + 4)
        }
        packet.writeLengths()
        if isTCP {
            let first = number(bytes, transport + 4) << 16 | number(bytes, transport + 6)
            let sequence = first + place * size
            store(sequence >> 16, &packet.bytes, transport + 4)
            store(sequence, &packet.bytes, transport + 6)
            if place < count - 1 { packet.bytes[transport + 13] &= ~0x09 }
            if place > 0 { packet.bytes[transport + 13] &= ~0x80 }
        }
        let checksum = transport + (isTCP ? 16 : 6)
        store(0, &packet.bytes, checksum)
        let length = packet.bytes.count - transport
        let sum = internetSum(packet.bytes[transport...], packet.pseudoHeaderSum(length: length))
        store(!isTCP && sum == 0xFFFF ? 0xFFFF : ~sum, &packet.bytes, checksum)
        return packet.bytes
    }
}

/// Sixteen bits in network order.
func number(_ bytes: [UInt8], _ offset: Int) -> Int { Int(bytes[offset]) << 8 | Int(bytes[offset + 1]) }

private func store(_ value: Int, _ bytes: inout [UInt8], _ offset: Int) {
    bytes[offset] = UInt8(truncatingIfNeeded: value >> 8)
    bytes[offset + 1] = UInt8(truncatingIfNeeded: value)
}

private func blank(_ first: inout [UInt8], _ second: inout [UInt8], _ offsets: [Int]) {
    for offset in offsets {
        store(0, &first, offset)
        store(0, &second, offset)
    }
}

/// The ones' complement sum of RFC 1071, not complemented.
private func internetSum(_ bytes: ArraySlice<UInt8>, _ start: Int = 0) -> Int {
    var sum = start
    for (place, byte) in bytes.enumerated() { sum += place.isMultiple(of: 2) ? Int(byte) << 8 : Int(byte) }
    while sum > 0xFFFF { sum = (sum & 0xFFFF) + sum >> 16 }
    return sum
}
