// Makes packets out of seeds, in flat memory that is reused: no array, no allocation a packet. A packet is a seed, aimed
// at a binding or put into a tunnel now and then, changed in up to four places, and mended half of the time, so that what
// lies behind a checksum or a length is reached too.

import Glibc
import TestSupport
import Wire

/// A packet in the making.
struct PacketBuilder: ~Copyable {
    /// Of a packet, in bytes: as much as IPv4 can name.
    static let capacity = 65_535
    /// Room before a packet, for the headers of tunnels.
    private static let room = 1024

    private let memory: UnsafeMutableRawPointer
    private let pieceMemory: UnsafeMutableRawPointer
    private(set) var start: UnsafeMutableRawPointer
    private(set) var length = 0
    let layers = PacketLayers()
    var random: SeededGenerator
    /// Of GRE packets that are put into tunnels: about the next.
    var sequence: UInt32 = 0

    init() {
        memory = .allocate(byteCount: Self.room + Self.capacity, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: Self.room + Self.capacity)
        pieceMemory = .allocate(byteCount: Self.capacity, alignment: 64)
        start = memory + Self.room
        random = SeededGenerator(seed: 0)
    }

    deinit {
        memory.deallocate()
        pieceMemory.deallocate()
    }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: length) }

    /// Makes a packet of seeds for a world.
    mutating func make(from seeds: SeedCorpus, for targets: TunnelTargets) {
        load(seeds.pick(using: &random))
        let target = targets.pick(using: &random)
        switch random.below(16) {
        case 12: makeOfLink(target)
        case 13 where length >= 40 && byte(0) >> 4 == 6: start.store(TunnelTargets.group, at: IPv6.Offset.destination)
        case 0...3: aim(at: target)
        case 4...7: wrap(for: target, isFromNode: random.below(4) != 0)
        case 14: makeRegistration(target)
        default: break
        }
        let changes = random.below(5)
        for _ in 0..<changes { change(seeds, targets) }
        // Rarely a second tunnel around all that.
        if random.below(16) == 0 { wrap(for: targets.pick(using: &random), isFromNode: true) }
        if random.below(2) == 0 { mend(lengths: changes > 0 && random.below(2) == 0) }
    }

    /// Changes what is there, for those who bring packets of their own.
    mutating func changeGiven(_ seeds: SeedCorpus, _ targets: TunnelTargets) {
        for _ in 0...random.below(3) { change(seeds, targets) }
        if random.below(4) == 0 { wrap(for: targets.pick(using: &random), isFromNode: true) }
        if random.below(2) == 0 { mend(lengths: random.below(2) == 0) }
    }

    /// Begins with these bytes, as many as fit.
    mutating func load(_ bytes: UnsafeRawBufferPointer) {
        start = memory + Self.room
        length = min(bytes.count, Self.capacity)
        if length > 0 { start.copyMemory(from: bytes.baseAddress!, byteCount: length) }
    }

    // MARK: Fragments

    /// A piece of an IPv4 packet, as a fragment of its own (RFC 791, 3.2), in memory that is kept until the next one.
    /// - Parameters:
    ///   - first: where the piece begins in the payload, in units of 8 bytes.
    ///   - count: of such units; nil for all that is left.
    /// - Returns: no bytes where the packet has no such piece.
    func piece(first: Int, count: Int?) -> UnsafeRawBufferPointer {
        let header = length < 20 ? 0 : max(Int(byte(0) & 15) * 4, 20)
        let from = header + 8 * first
        guard header > 0, from < length else { return UnsafeRawBufferPointer(start: pieceMemory, count: 0) }
        let to = min(length, count.map { from + 8 * $0 } ?? length)
        memcpy(pieceMemory, start, header)
        memcpy(pieceMemory + header, start + from, to - from)
        pieceMemory.storeNetwork(UInt16(header + to - from), at: IPv4.Offset.totalLength)
        pieceMemory.storeNetwork(UInt16(first) | (to < length ? 0x2000 : 0), at: IPv4.Offset.fragment)
        pieceMemory.storeNetwork(UInt16(0), at: IPv4.Offset.checksum)
        var sum = InternetChecksum()
        sum.add(UnsafeRawBufferPointer(start: pieceMemory, count: header))
        pieceMemory.storeNetwork(sum.checksum, at: IPv4.Offset.checksum)
        return UnsafeRawBufferPointer(start: pieceMemory, count: header + to - from)
    }

    // MARK: Changes

    private mutating func change(_ seeds: SeedCorpus, _ targets: TunnelTargets) {
        guard length > 0 else { return grow() }
        // Headers stand in front, so most changes do.
        let at = random.below(random.below(4) == 0 ? length : min(length, 96))
        switch random.below(16) {
        case 0: start.storeByte(byte(at) ^ 1 << UInt8(random.below(8)), at: at)
        case 1: start.storeByte(UInt8(truncatingIfNeeded: random.next()), at: at)
        case 2: start.storeByte(Self.notableByte(random.below(16)), at: at)
        case 3 where at + 2 <= length: start.storeNetwork(Self.extremeWord(random.below(8)), at: at)
        case 4: length = random.below(length + 1)
        case 5: length -= min(length, 1 + random.below(8))
        case 6: grow()
        case 7: remove(1 + random.below(24), at: at)
        case 8: splice(seeds.pick(using: &random), at: at)
        case 9: insert(seeds.pick(using: &random), at: at)
        default: changeField(targets)
        }
    }

    /// Numbers of protocols and next headers, and the ends of the range.
    private static func notableByte(_ index: Int) -> UInt8 {
        let low: UInt64 = 0x3A33_2C2B_2906_0401  // 1, 4, 6, 41, 43, 44, 51, 58
        let high: UInt64 = 0xFF80_7F00_373C_2F11  // 17, 47, 60, 55, 0, 127, 128, 255
        return UInt8(truncatingIfNeeded: (index < 8 ? low : high) >> UInt64((index & 7) * 8))
    }

    private static func extremeWord(_ index: Int) -> UInt16 {
        switch index {
        case 0: 0
        case 1: 1
        case 2: 0x7FFF
        case 3: 0x8000
        case 4: 0xFFFF
        case 5: 0xFFFE
        case 6: 20
        default: 1280
        }
    }

    /// Mostly some padding; rarely beyond every tunnel's MTU.
    private mutating func grow() {
        let wanted = random.below(64) == 0 ? random.below(Self.capacity) : 1 + random.below(80)
        let count = min(wanted, Self.capacity - length)
        guard count > 0 else { return }
        memset(start + length, CInt(random.below(256)), count)
        length += count
    }

    private mutating func remove(_ count: Int, at: Int) {
        let count = min(count, length - at)
        memmove(start + at, start + at + count, length - at - count)
        length -= count
    }

    /// The front of this packet, the end of another.
    private mutating func splice(_ other: UnsafeRawBufferPointer, at: Int) {
        guard at < other.count else { return length = at }
        memcpy(start + at, other.baseAddress! + at, other.count - at)
        length = other.count
    }

    private mutating func insert(_ other: UnsafeRawBufferPointer, at: Int) {
        let count = min(other.count, 64, Self.capacity - length)
        guard count > 0 else { return }
        memmove(start + at + count, start + at, length - at)
        memcpy(start + at, other.baseAddress!, count)
        length += count
    }

    /// Room for a header before the packet.
    /// - Returns: whether there is any.
    mutating func prepend(_ count: Int) -> Bool {
        guard start - memory >= count, length + count <= Self.capacity else { return false }
        start -= count
        length += count
        return true
    }

    mutating func removeFirst(_ count: Int) {
        start += count
        length -= count
    }

    /// Sets the length; what comes in is what lay there.
    mutating func resize(_ count: Int) { length = count }

    func byte(_ offset: Int) -> UInt8 { UnsafeRawPointer(start).byte(offset) }
    func word(_ offset: Int) -> UInt16 { UnsafeRawPointer(start).networkUInt16(at: offset) }
}

extension SeededGenerator {
    /// A number from 0 to below `bound`, which is positive and below 2 ** 32.
    @inline(__always)
    mutating func below(_ bound: Int) -> Int {
        Int(truncatingIfNeeded: ((next() >> 32) &* UInt64(truncatingIfNeeded: bound)) >> 32)
    }
}
