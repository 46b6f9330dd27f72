// Reading and writing big-endian fields at byte offsets. Nothing here checks a bound: a view checks once, in its
// initialiser, that every offset it will use lies inside.

extension UnsafeRawPointer {
    /// The byte at `offset`.
    @inlinable @inline(__always)
    public func byte(_ offset: Int) -> UInt8 {
        load(fromByteOffset: offset, as: UInt8.self)
    }

    /// The 16-bit number at `offset`, from network order; any alignment.
    @inlinable @inline(__always)
    public func networkUInt16(at offset: Int) -> UInt16 {
        UInt16(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    /// The 32-bit number at `offset`, from network order; any alignment.
    @inlinable @inline(__always)
    public func networkUInt32(at offset: Int) -> UInt32 {
        UInt32(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    /// The 64-bit number at `offset`, from network order; any alignment.
    @inlinable @inline(__always)
    public func networkUInt64(at offset: Int) -> UInt64 {
        UInt64(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
}

extension UnsafeMutableRawPointer {
    /// Writes a byte at `offset`.
    @inlinable @inline(__always)
    public func storeByte(_ value: UInt8, at offset: Int) {
        storeBytes(of: value, toByteOffset: offset, as: UInt8.self)
    }

    /// Writes a 16-bit number in network order at `offset`; any alignment.
    @inlinable @inline(__always)
    public func storeNetwork(_ value: UInt16, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
    }

    /// Writes a 32-bit number in network order at `offset`; any alignment.
    @inlinable @inline(__always)
    public func storeNetwork(_ value: UInt32, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
    }

    /// Writes a 64-bit number in network order at `offset`; any alignment.
    @inlinable @inline(__always)
    public func storeNetwork(_ value: UInt64, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt64.self)
    }
}
