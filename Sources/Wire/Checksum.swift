// The Internet checksum (RFC 1071) and its incremental update (RFC 1624). Sums are kept unfolded in 64 bits and in
// the machine's byte order, which RFC 1071 2(B) allows: only the folded result is stored, as it lies in memory.

/// A one's complement sum under way, in memory order.
public struct InternetChecksum: BitwiseCopyable, Sendable {
    @usableFromInline var sum: UInt64

    /// Nothing summed yet.
    @inlinable @inline(__always)
    public init() { sum = 0 }

    /// Adds bytes that start at an even offset of what is summed. Only the last piece may have an odd length.
    @inlinable
    public mutating func add(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        var offset = 0
        let count = bytes.count
        if count >= 32 {
            // Eight lanes of 32 bits, each widened to 64 so that carries need no care for the first 16 GiB: the
            // compiler turns this into the widest vectors that the target has.
            var lanes = SIMD8<UInt64>.zero
            while offset &+ 32 <= count {
                let words = base.loadUnaligned(fromByteOffset: offset, as: SIMD8<UInt32>.self)
                lanes &+= SIMD8<UInt64>(truncatingIfNeeded: words)
                offset &+= 32
            }
            addFolded(lanes.wrappedSum())
        }
        while offset &+ 4 <= count {
            sum &+= UInt64(base.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            offset &+= 4
        }
        if offset &+ 2 <= count {
            sum &+= UInt64(base.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
            offset &+= 2
        }
        if offset < count {
            sum &+= UInt64(UInt16(littleEndian: UInt16(base.byte(offset))))
        }
    }

    /// Adds bytes that start at an even offset of what is summed, and copies them on the way.
    /// - Parameter target: does not overlap them.
    @inlinable
    public mutating func copy(_ source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, count: Int) {
        var lanes = SIMD8<UInt64>.zero
        var offset = 0
        while offset &+ 32 <= count {
            let words = source.loadUnaligned(fromByteOffset: offset, as: SIMD8<UInt32>.self)
            target.storeBytes(of: words, toByteOffset: offset, as: SIMD8<UInt32>.self)
            lanes &+= SIMD8<UInt64>(truncatingIfNeeded: words)
            offset &+= 32
        }
        addFolded(lanes.wrappedSum())
        (target + offset).copyMemory(from: source + offset, byteCount: count &- offset)
        add(UnsafeRawBufferPointer(start: source + offset, count: count &- offset))
    }

    /// Makes the checksum of TCP, UDP or ICMPv6 in a packet whose sum of the pseudo-header stands in its place.
    /// - Parameters:
    ///   - bytes: from the header that has it to the end of the packet.
    ///   - offset: where it stands; two bytes there lie inside.
    @inlinable
    public static func complete(_ bytes: UnsafeMutableRawBufferPointer, at offset: Int, isUDP: Bool) {
        guard let start = bytes.baseAddress else { return }
        var sum = InternetChecksum()
        sum.add(UnsafeRawBufferPointer(bytes))
        store(sum.checksum, at: start + offset, isUDP: isUDP)
    }

    /// Writes a checksum. UDP says with 0 that there is none, and has its other zero in its place (RFC 768).
    @inlinable @inline(__always)
    public static func store(_ checksum: UInt16, at target: UnsafeMutableRawPointer, isUDP: Bool) {
        target.storeNetwork(isUDP && checksum == 0 ? 0xFFFF : checksum, at: 0)
    }

    /// Adds a 16-bit number given in host order.
    @inlinable @inline(__always)
    public mutating func add(_ value: UInt16) { sum &+= UInt64(value.bigEndian) }

    /// Adds a 32-bit number given in host order.
    @inlinable @inline(__always)
    public mutating func add(_ value: UInt32) { sum &+= UInt64(value.bigEndian) }

    /// Adds an address.
    @inlinable @inline(__always)
    public mutating func add(_ address: IPv6Address) {
        add(UInt32(truncatingIfNeeded: address.high >> 32))
        add(UInt32(truncatingIfNeeded: address.high))
        add(UInt32(truncatingIfNeeded: address.low >> 32))
        add(UInt32(truncatingIfNeeded: address.low))
    }

    /// Adds the pseudo-header of an upper-layer protocol over IPv6 (RFC 8200, 8.1).
    @inlinable @inline(__always)
    public mutating func addPseudoHeader(source: IPv6Address, destination: IPv6Address, length: UInt32, protocol: UInt8)
    {
        add(source)
        add(destination)
        add(length)
        add(UInt32(`protocol`))
    }

    /// The sum folded to 16 bits, not complemented, in host order.
    @inlinable @inline(__always)
    public var folded: UInt16 {
        var value = sum
        value = (value & 0xFFFF_FFFF) &+ (value >> 32)
        value = (value & 0xFFFF_FFFF) &+ (value >> 32)
        value = (value & 0xFFFF) &+ (value >> 16)
        value = (value & 0xFFFF) &+ (value >> 16)
        return UInt16(truncatingIfNeeded: value).bigEndian
    }

    /// The checksum to store: the complement, in host order.
    @inlinable @inline(__always)
    public var checksum: UInt16 { ~folded }

    @inlinable @inline(__always)
    mutating func addFolded(_ value: UInt64) {
        sum &+= (value & 0xFFFF_FFFF) &+ (value >> 32)
    }

    /// A checksum after one 16-bit field under it has changed from `old` to `new` (RFC 1624, equation 3). All in host
    /// order.
    @inlinable @inline(__always)
    public static func updated(_ checksum: UInt16, from old: UInt16, to new: UInt16) -> UInt16 {
        var sum = UInt32(~checksum) &+ UInt32(~old) &+ UInt32(new)
        sum = (sum & 0xFFFF) &+ (sum >> 16)
        sum = (sum & 0xFFFF) &+ (sum >> 16)
        return ~UInt16(truncatingIfNeeded: sum)
    }

    /// Whether bytes that hold their own checksum sum up as they should.
    @inlinable
    public static func verifies(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var sum = InternetChecksum()
        sum.add(bytes)
        return sum.folded == 0xFFFF
    }
}
