// Fragments of tunnel packets, put together (RFC 791, 3.2; RFC 4213, 3.6). All of it is bounded: how many datagrams are
// waited for, how many bytes their fragments have, how many fragments one has, how long they are kept. Where room is
// missing the datagram that began first goes, so whoever floods takes from all alike. Fragments that overlap or that
// contradict each other end their datagram, and what still comes of it is dropped (RFC 1858, RFC 3128 tell why).
//
//     hash of source, destination, protocol, identification ─► Datagram ─► blocks of payload, in order, without overlap
//     oldest ─► Datagram ─► Datagram ─► … ─► newest
//
// RFC 6864: the identification counts only together with addresses and protocol, and only while fragments may be under
// way, so a datagram is forgotten as a whole.

import PacketBuffer
import Wire

/// Bounds of what waits to be put together.
public struct ReassemblyLimits: Sendable {
    /// Datagrams at a time.
    public var datagrams = 1024
    /// Bytes of payload that are kept, in blocks of `blockSize`.
    public var bytes = 4 << 20
    /// Fragments of one datagram.
    public var fragments = 64
    /// How long the fragments of a datagram are kept, from the first that came, in nanoseconds (RFC 791, 3.2 speaks of
    /// 15 seconds, RFC 1122 of 60).
    public var age: UInt64 = 30_000_000_000

    /// The defaults.
    public init() {}

    static var blockSize: Int { 2048 }
}

/// The fragments of one forwarder.
struct Reassembler: ~Copyable {
    /// What makes fragments belong together.
    struct Key: Equatable, BitwiseCopyable {
        /// The outer source, of fragments that lie in a tunnel themselves; else 0.0.0.0.
        let via: IPv4Address
        /// Which tunnel that is: its kind, key and port.
        let tunnel: UInt64
        let source: IPv4Address
        let destination: IPv4Address
        let identification: UInt16
        let `protocol`: UInt8

        init(_ fragment: IPv4View, via: IPv4Address, tunnel: UInt64) {
            self.via = via
            self.tunnel = tunnel
            source = fragment.source
            destination = fragment.destination
            identification = fragment.identification
            `protocol` = fragment.protocol
        }

        func hash(_ seed: UInt64) -> UInt64 {
            var hash = seed ^ (UInt64(source.rawValue) << 32 | UInt64(destination.rawValue))
            hash = (hash ^ (hash >> 32)) &* 0x9E37_79B9_7F4A_7C15
            hash ^= UInt64(via.rawValue) << 32 | UInt64(identification) << 8 | UInt64(`protocol`)
            hash = (hash ^ (hash >> 29)) &* 0xBF58_476D_1CE4_E5B9
            hash = (hash ^ tunnel) &* 0x94D0_49BB_1331_11EB
            return hash ^ (hash >> 32)
        }
    }

    private struct Datagram: BitwiseCopyable {
        var key: Key
        var deadline: UInt64
        /// Of its header and payload; 0 until the last fragment is there.
        var payloadLength = 0
        /// Bytes of payload that are there.
        var received = 0
        var fragments = 0
        /// The ECN fields seen, a bit for each.
        var ecn: UInt8 = 0
        /// Of the first fragment; 0 until it is there.
        var headerLength = 0
        /// Whether it can't be completed: what comes of it is dropped.
        var isSpoiled = false
        var firstBlock = none
        /// In its hash chain.
        var nextInChain = none
        var older = none
        var newer = none
    }

    private struct Block: BitwiseCopyable {
        /// In the datagram's payload.
        var offset: Int
        var length: Int
        /// Of the fragment that begins here; 0 where a block only goes on with one.
        var fragmentLength: Int
        var next: UInt32
    }

    /// What became of a fragment that was taken.
    enum Outcome {
        /// It waits for others.
        case held
        /// It was the last one missing: the datagram lies there, whole.
        case complete(UnsafeMutableRawPointer, length: Int)
    }

    private static var none: UInt32 { .max }

    private let limits: ReassemblyLimits
    private let seed = UInt64.random(in: .min ... .max)
    private let chains: UnsafeMutablePointer<UInt32>
    private let chainMask: Int
    private let datagrams: UnsafeMutablePointer<Datagram>
    private let headers: UnsafeMutableRawPointer
    private let blocks: UnsafeMutablePointer<Block>
    private let payloads: UnsafeMutableRawPointer
    private let blockCount: Int
    private var freeDatagram: UInt32
    private var freeBlock: UInt32
    private var freeBlockCount: Int
    private var oldest = none
    private var newest = none
    /// Datagrams of which fragments were held and that were never whole.
    private(set) var failures: UInt64 = 0

    /// Nothing held.
    init(_ limits: ReassemblyLimits) {
        self.limits = limits
        var chainCount = 1
        while chainCount < limits.datagrams { chainCount *= 2 }
        chainMask = chainCount - 1
        chains = .allocate(capacity: chainCount)
        chains.initialize(repeating: Self.none, count: chainCount)
        datagrams = .allocate(capacity: limits.datagrams)
        headers = .allocate(byteCount: limits.datagrams * 64, alignment: 64)
        blockCount = max(limits.bytes / ReassemblyLimits.blockSize, 1)
        blocks = .allocate(capacity: blockCount)
        payloads = .allocate(byteCount: blockCount * ReassemblyLimits.blockSize, alignment: 64)
        let blank = Key(via: .unspecified)
        for index in 0..<limits.datagrams {
            (datagrams + index).initialize(to: Datagram(key: blank, deadline: 0))
            datagrams[index].newer = index + 1 < limits.datagrams ? UInt32(index + 1) : Self.none
        }
        for index in 0..<blockCount {
            let next = index + 1 < blockCount ? UInt32(index + 1) : Self.none
            (blocks + index).initialize(to: Block(offset: 0, length: 0, fragmentLength: 0, next: next))
        }
        freeDatagram = 0
        freeBlock = 0
        freeBlockCount = blockCount
    }

    deinit {
        chains.deallocate()
        datagrams.deallocate()
        headers.deallocate()
        blocks.deallocate()
        payloads.deallocate()
    }

    /// Takes a fragment.
    /// - Parameters:
    ///   - ecn: of the fragment, and of tunnel headers that were taken off it.
    ///   - via: the outer source, of a fragment that lies in a tunnel itself.
    ///   - tunnel: which tunnel that is. Fragments of one datagram come by one.
    ///   - memory: where the datagram is put when it is whole.
    /// - Throws: why the fragment is dropped.
    mutating func take(
        _ fragment: IPv4View, ecn: ECN, via: IPv4Address, tunnel: UInt64 = 0, now: UInt64,
        memory: inout GeneratedMemory
    ) throws(DropReason) -> Outcome {
        while oldest != Self.none, datagrams[Int(oldest)].deadline <= now { forget(oldest, asFailure: true) }
        let offset = fragment.fragmentOffset
        let length = fragment.payload.count
        let end = offset + length
        guard length > 0, end <= Int(UInt16.max) - IPv4.minimumHeaderLength,
            length % 8 == 0 || !fragment.hasMoreFragments
        else { throw .fragmentLength }
        let number = datagram(Key(fragment, via: via, tunnel: tunnel), now: now)
        let datagram = datagrams + Int(number)
        if datagram.pointee.isSpoiled { throw .fragmentSpoiled }

        if !fragment.hasMoreFragments {
            if datagram.pointee.payloadLength != 0, datagram.pointee.payloadLength != end {
                throw spoil(number, .fragmentLength)
            }
            datagram.pointee.payloadLength = end
        }
        if datagram.pointee.payloadLength != 0, max(end, lastEnd(datagram.pointee)) > datagram.pointee.payloadLength {
            throw spoil(number, .fragmentLength)
        }
        let previous = try place(offset, end, in: number)
        guard datagram.pointee.fragments < limits.fragments, makeRoom(for: length, keeping: number) else {
            throw spoil(number, .fragmentLimit)
        }
        if offset == 0 {
            datagram.pointee.headerLength = fragment.headerLength
            (headers + Int(number) * 64).copyMemory(from: fragment.start, byteCount: fragment.headerLength)
        }
        datagram.pointee.ecn |= 1 << ecn.rawValue
        datagram.pointee.fragments += 1
        datagram.pointee.received += length
        store(fragment.payload, at: offset, behind: previous, in: number)
        guard datagram.pointee.received == datagram.pointee.payloadLength else { return .held }
        return try join(number, into: &memory)
    }

    // MARK: Datagrams

    private mutating func datagram(_ key: Key, now: UInt64) -> UInt32 {
        let chain = chains + (Int(truncatingIfNeeded: key.hash(seed)) & chainMask)
        var number = chain.pointee
        while number != Self.none {
            if datagrams[Int(number)].key == key { return number }
            number = datagrams[Int(number)].nextInChain
        }
        if freeDatagram == Self.none { forget(oldest, asFailure: true) }
        number = freeDatagram
        freeDatagram = datagrams[Int(number)].newer
        var new = Datagram(key: key, deadline: now &+ limits.age)
        new.nextInChain = chain.pointee
        new.older = newest
        datagrams[Int(number)] = new
        chain.pointee = number
        if newest != Self.none { datagrams[Int(newest)].newer = number } else { oldest = number }
        newest = number
        return number
    }

    private mutating func forget(_ number: UInt32, asFailure isFailure: Bool) {
        releaseBlocks(of: number)
        let gone = datagrams[Int(number)]
        if isFailure, !gone.isSpoiled { failures &+= 1 }
        var link = chains + (Int(truncatingIfNeeded: gone.key.hash(seed)) & chainMask)
        while link.pointee != number {
            link = UnsafeMutableRawPointer(datagrams + Int(link.pointee)).advanced(
                by: MemoryLayout<Datagram>.offset(of: \.nextInChain)!
            ).assumingMemoryBound(to: UInt32.self)
        }
        link.pointee = gone.nextInChain
        if gone.older != Self.none { datagrams[Int(gone.older)].newer = gone.newer } else { oldest = gone.newer }
        if gone.newer != Self.none { datagrams[Int(gone.newer)].older = gone.older } else { newest = gone.older }
        datagrams[Int(number)].newer = freeDatagram
        freeDatagram = number
    }

    /// Gives up a datagram. It is remembered for as long as its fragments may still come.
    private mutating func spoil(_ number: UInt32, _ reason: DropReason) -> DropReason {
        releaseBlocks(of: number)
        datagrams[Int(number)].isSpoiled = true
        failures &+= 1
        return reason
    }

    // MARK: Blocks

    /// Where the payload ends that is there.
    private func lastEnd(_ datagram: Datagram) -> Int {
        var (end, block) = (0, datagram.firstBlock)
        while block != Self.none {
            end = blocks[Int(block)].offset + blocks[Int(block)].length
            block = blocks[Int(block)].next
        }
        return end
    }

    /// - Returns: the block behind which a fragment belongs; `none` where it comes first.
    /// - Throws: where it is there already, or overlaps others.
    private mutating func place(_ offset: Int, _ end: Int, in number: UInt32) throws(DropReason) -> UInt32 {
        var previous = Self.none
        var block = datagrams[Int(number)].firstBlock
        while block != Self.none, blocks[Int(block)].offset < offset {
            previous = block
            block = blocks[Int(block)].next
        }
        if block != Self.none, blocks[Int(block)].offset == offset,
            blocks[Int(block)].fragmentLength == end - offset
        {
            throw .fragmentDuplicate
        }
        let overlaps =
            (previous != Self.none && blocks[Int(previous)].offset + blocks[Int(previous)].length > offset)
            || (block != Self.none && blocks[Int(block)].offset < end)
        if overlaps { throw spoil(number, .fragmentOverlap) }
        return previous
    }

    /// Sees that there are blocks for so many bytes, if need be by forgetting older datagrams.
    private mutating func makeRoom(for length: Int, keeping number: UInt32) -> Bool {
        let needed = (length + ReassemblyLimits.blockSize - 1) / ReassemblyLimits.blockSize
        while freeBlockCount < needed {
            let victim = oldest == number ? datagrams[Int(oldest)].newer : oldest
            guard victim != Self.none else { return false }
            forget(victim, asFailure: true)
        }
        return true
    }

    private mutating func store(
        _ payload: UnsafeRawBufferPointer, at offset: Int, behind previous: UInt32, in number: UInt32
    ) {
        var (previous, stored) = (previous, 0)
        while stored < payload.count {
            let block = freeBlock
            freeBlock = blocks[Int(block)].next
            freeBlockCount -= 1
            let count = min(payload.count - stored, ReassemblyLimits.blockSize)
            (payloads + Int(block) * ReassemblyLimits.blockSize).copyMemory(
                from: payload.baseAddress! + stored, byteCount: count)
            let next = previous == Self.none ? datagrams[Int(number)].firstBlock : blocks[Int(previous)].next
            blocks[Int(block)] = Block(
                offset: offset + stored, length: count, fragmentLength: stored == 0 ? payload.count : 0, next: next)
            if previous == Self.none {
                datagrams[Int(number)].firstBlock = block
            } else {
                blocks[Int(previous)].next = block
            }
            previous = block
            stored += count
        }
    }

    private mutating func releaseBlocks(of number: UInt32) {
        var block = datagrams[Int(number)].firstBlock
        while block != Self.none {
            let next = blocks[Int(block)].next
            blocks[Int(block)].next = freeBlock
            freeBlock = block
            freeBlockCount += 1
            block = next
        }
        datagrams[Int(number)].firstBlock = Self.none
    }

    // MARK: Whole again

    /// The datagram, with the header of its first fragment.
    private mutating func join(
        _ number: UInt32, into memory: inout GeneratedMemory
    ) throws(DropReason) -> Outcome {
        let datagram = datagrams[Int(number)]
        let length = datagram.headerLength + datagram.payloadLength
        guard length <= Int(UInt16.max) else { throw spoil(number, .fragmentLength) }
        let header = UnsafeRawPointer(headers + Int(number) * 64)
        guard let ecn = Self.ecn(datagram.ecn, first: header.byte(IPv4.Offset.trafficClass)) else {
            throw spoil(number, .ecnNotCapable)
        }
        guard let start = memory.take(length) else { throw spoil(number, .fragmentLimit) }
        start.copyMemory(from: header, byteCount: datagram.headerLength)
        var block = datagram.firstBlock
        while block != Self.none {
            (start + datagram.headerLength + blocks[Int(block)].offset).copyMemory(
                from: payloads + Int(block) * ReassemblyLimits.blockSize, byteCount: blocks[Int(block)].length)
            block = blocks[Int(block)].next
        }
        start.storeByte(ecn, at: IPv4.Offset.trafficClass)
        start.storeNetwork(UInt16(length), at: IPv4.Offset.totalLength)
        let flags = UnsafeRawPointer(start).networkUInt16(at: IPv4.Offset.fragment) & IPv4.dontFragment
        start.storeNetwork(flags, at: IPv4.Offset.fragment)
        IPv4Header.writeChecksum(at: start, headerLength: datagram.headerLength)
        forget(number, asFailure: false)
        return .complete(start, length: length)
    }

    /// The traffic class of a datagram (RFC 3168, 5.3): that of the first fragment, with congestion experienced where any
    /// fragment has it.
    /// - Returns: nil where some fragments are not ECN-capable though others experienced congestion.
    private static func ecn(_ seen: UInt8, first: UInt8) -> UInt8? {
        guard seen & 1 << ECN.congestionExperienced.rawValue != 0 else {
            return seen & 1 << ECN.notCapable.rawValue != 0 ? first & 0xFC : first
        }
        return seen & 1 << ECN.notCapable.rawValue != 0 ? nil : first | ECN.congestionExperienced.rawValue
    }
}

extension Reassembler.Key {
    fileprivate init(via: IPv4Address) {
        (self.via, tunnel, source, destination) = (via, 0, .unspecified, .unspecified)
        (identification, `protocol`) = (0, 0)
    }
}
