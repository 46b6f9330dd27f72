// Which of several queues of a device a packet goes to, and so which of several workers gets it. The kernel does the same
// arithmetic, in a program that `PacketIO` gives it; here it stands for those who must know where a packet will be.
//
// Only what is in every packet of a flow counts, in every fragment too: addresses, never ports or what lies in a tunnel.
// Out of a tunnel all packets of a node have one outer source. Into tunnels all packets to a prefix of 64 bits go alike.

/// The choice of a queue by addresses.
public enum Steering {
    /// Queues that a device may have: as many as workers.
    public static var queueLimit: Int { 16 }

    /// What the steps of the hash multiply by: odd numbers whose bits are mixed well (those of xxHash, 32 bits).
    public static var multipliers: (UInt32, UInt32, UInt32) { (0x9E37_79B1, 0x85EB_CA77, 0xC2B2_AE3D) }
    /// By how much its steps shift.
    public static var shifts: (UInt32, UInt32, UInt32) { (15, 13, 16) }

    /// A hash of two numbers; of one where the second is 0. The kernel takes the lower 16 bits of it.
    public static func hash(_ first: UInt32, _ second: UInt32 = 0) -> UInt16 {
        var hash = first &* multipliers.0
        hash ^= hash >> shifts.0
        hash = (hash &+ second) &* multipliers.1
        hash ^= hash >> shifts.1
        hash = hash &* multipliers.2
        hash ^= hash >> shifts.2
        return UInt16(truncatingIfNeeded: hash)
    }

    /// The queue of the home side's packets to an address, of the access side's packets from it.
    public static func queue(_ address: IPv4Address, of count: Int) -> Int { Int(hash(address.rawValue)) % count }

    /// The queue of packets to an address; one that an IPv4 address is mapped to counts as that.
    public static func queue(_ address: IPv6Address, of count: Int) -> Int {
        if let mapped = address.mappedIPv4 { return queue(mapped, of: count) }
        return Int(
            hash(UInt32(truncatingIfNeeded: address.high >> 32), UInt32(truncatingIfNeeded: address.high))) % count
    }

    /// The queue of a packet by its destination, as on the home side; the first where it has none.
    public static func queue(ofPacket bytes: UnsafeRawBufferPointer, of count: Int) -> Int {
        guard let start = bytes.baseAddress, let first = bytes.first else { return 0 }
        switch first >> 4 {
        case 4 where bytes.count >= IPv4.minimumHeaderLength:
            return queue(IPv4Address(rawValue: start.networkUInt32(at: IPv4.Offset.destination)), of: count)
        case 6 where bytes.count >= IPv6.headerLength:
            return queue(start.ipv6Address(at: IPv6.Offset.destination), of: count)
        default: return 0
        }
    }
}
