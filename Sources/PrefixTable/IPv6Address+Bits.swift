// Parts of an address, as nodes of the trie tell them apart. What readers ask for has no branch.

import Wire

extension UnsafeRawPointer {
    /// Where the 8 bits from `depth` on, a multiple of 8 below 128, stand in an address that lies here: in its halves, which
    /// lie one behind the other, each as the processor keeps numbers.
    @inline(__always)
    func addressByte(_ depth: Int) -> UnsafeRawPointer {
        #if _endian(little)
            self + ((depth &>> 3) ^ 7)
        #else
            self + depth &>> 3
        #endif
    }

    /// The 16 bits from `depth` on, a multiple of 16 below 128, of the address that lies here.
    @inline(__always)
    func addressPair(_ depth: Int) -> Int {
        let half = load(fromByteOffset: ((depth &>> 6) & 1) &* 8, as: UInt64.self)
        return Int(truncatingIfNeeded: (half &<< UInt64(depth)) &>> 48)
    }
}

extension IPv6Address {
    /// The 8 bits from `depth` on, a multiple of 8 below 128.
    @inline(__always)
    func byte(_ depth: Int) -> Int { bits(depth, 8) }

    /// The 16 bits from `depth` on, a multiple of 16 of at most 112.
    @inline(__always)
    func pair(_ depth: Int) -> Int { bits(depth, 16) }

    @inline(__always)
    private func bits(_ depth: Int, _ count: UInt64) -> Int {
        let half = depth < 64 ? high : low
        return Int(truncatingIfNeeded: (half &<< UInt64(depth)) &>> (64 &- count))
    }

    /// Whether the first `length` bits, up to 128, are those of another.
    @inline(__always)
    func shares(_ length: Int, with other: IPv6Address) -> Bool {
        let (high, low) = (high ^ other.high, low ^ other.low)
        return length <= 64
            ? length == 0 || high &>> UInt64(64 &- length) == 0
            : high == 0 && low &>> UInt64(128 &- length) == 0
    }

    /// How many leading bits the two have in common, 0 to 128.
    func sharedLength(with other: IPv6Address) -> Int {
        high != other.high
            ? (high ^ other.high).leadingZeroBitCount : 64 + (low ^ other.low).leadingZeroBitCount
    }

    /// The address with the 8 bits from `depth` on set to a slot's number.
    func settingByte(_ depth: Int, to slot: Int) -> IPv6Address {
        var address = self
        if depth < 64 {
            address.high = high & ~(0xFF << UInt64(56 - depth)) | UInt64(slot) << UInt64(56 - depth)
        } else {
            address.low = low & ~(0xFF << UInt64(120 - depth)) | UInt64(slot) << UInt64(120 - depth)
        }
        return address
    }
}
