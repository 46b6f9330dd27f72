// Which headers lie where in a packet, as far as that can be told of one that may be broken anywhere: fields and checksums
// are changed by it. It believes lengths only where they keep it inside, and knows nothing of `Wire`'s views, so that what
// a view refuses is laid out all the same.

import Wire

/// The headers of a packet, outermost first.
struct PacketLayers: ~Copyable {
    enum Kind: UInt8, BitwiseCopyable { case ipv4, ipv6, udp, gre, minimal, mobileTunnelData, icmpv4, icmpv6 }

    struct Layer: BitwiseCopyable {
        var kind: Kind
        /// From the start of the packet, in bytes.
        var offset: Int
        /// The nearest IPv4 or IPv6 header before it; itself for the first.
        var below: Int
    }

    static let limit = 8
    private let storage = UnsafeMutablePointer<Layer>.allocate(capacity: limit)
    private let filled = UnsafeMutablePointer<Int>.allocate(capacity: 1)

    init() { filled.initialize(to: 0) }

    deinit {
        storage.deallocate()
        filled.deallocate()
    }

    var count: Int { filled.pointee }

    subscript(index: Int) -> Layer { storage[index] }

    /// Lays out a packet: every header of which all fixed bytes are there.
    func find(in start: UnsafeRawPointer, length: Int) {
        filled.pointee = 0
        guard length > 0 else { return }
        var next: Kind? = start.byte(0) >> 4 == 6 ? .ipv6 : .ipv4
        var (offset, below) = (0, 0)
        while let kind = next, filled.pointee < Self.limit, offset + Self.fixedLength(kind) <= length {
            if kind == .ipv4 || kind == .ipv6 { below = offset }
            (storage + filled.pointee).initialize(to: Layer(kind: kind, offset: offset, below: below))
            filled.pointee += 1
            (next, offset) = Self.behind(kind, at: offset, in: start, length: length)
        }
    }

    private static func fixedLength(_ kind: Kind) -> Int {
        switch kind {
        case .ipv4: 20
        case .ipv6: 40
        case .udp, .icmpv4, .minimal: 8
        case .gre, .mobileTunnelData, .icmpv6: 4
        }
    }

    private static func behind(
        _ kind: Kind, at offset: Int, in start: UnsafeRawPointer, length: Int
    ) -> (Kind?, Int) {
        switch kind {
        case .ipv4:
            let header = max(Int(start.byte(offset) & 15) * 4, 20)
            return (kindOf(protocol: start.byte(offset + 9)), offset + header)
        case .ipv6:
            guard start.byte(offset + 6) == 0, offset + 48 <= length else {
                return (kindOf(protocol: start.byte(offset + 6)), offset + 40)
            }
            // Hop-by-hop options.
            return (kindOf(protocol: start.byte(offset + 40)), offset + 48 + 8 * Int(start.byte(offset + 41)))
        case .udp:
            let isTunnel = start.networkUInt16(at: offset + 2) == 434 || start.networkUInt16(at: offset) == 434
            return (isTunnel ? .mobileTunnelData : nil, offset + 8)
        case .gre:
            let optional = (start.networkUInt16(at: offset) & 0xB000).nonzeroBitCount
            let type = start.networkUInt16(at: offset + 2)
            return (type == 0x0800 ? .ipv4 : type == 0x86DD ? .ipv6 : nil, offset + 4 + 4 * optional)
        case .minimal:
            let header = start.byte(offset + 1) & 0x80 == 0 ? 8 : 12
            return (kindOf(protocol: start.byte(offset)), offset + header)
        case .mobileTunnelData:
            return (kindOf(protocol: start.byte(offset + 1)), offset + 4)
        case .icmpv4:
            // What an error quotes.
            return (start.byte(offset) == 3 || start.byte(offset) == 11 ? .ipv4 : nil, offset + 8)
        case .icmpv6:
            return (start.byte(offset) < 128 ? .ipv6 : nil, offset + 8)
        }
    }

    private static func kindOf(protocol number: UInt8) -> Kind? {
        switch number {
        case 1: .icmpv4
        case 4: .ipv4
        case 17: .udp
        case 41: .ipv6
        case 47: .gre
        case 55: .minimal
        case 58: .icmpv6
        default: nil
        }
    }
}
