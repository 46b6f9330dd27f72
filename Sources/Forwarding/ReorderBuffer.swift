// Packets of GRE tunnels with sequence numbers that came too early (RFC 2890, 2.2): they wait for those before them, a
// few of each tunnel, for a short while, within a fixed memory. A packet that finds no room goes on at once, as though
// those before it were lost.

import PacketBuffer

/// The packets of one forwarder that wait for others of their tunnel.
struct ReorderBuffer: ~Copyable {
    /// Packets of one tunnel at the most (MAX_PERFLOW_BUFFER).
    static var packetsPerTunnel: Int { 3 }
    /// Packets of all tunnels at the most.
    static var capacity: Int { 256 }
    /// Larger packets do not wait, in bytes.
    static var packetCapacity: Int { 2048 }
    /// How long a packet waits, in nanoseconds: a tenth of a second (OUTOFORDER_TIMER), less what it takes until a worker
    /// that is asleep is woken.
    static var time: UInt64 { 80_000_000 }

    /// Of which tunnel a packet is.
    struct Tunnel: Equatable, BitwiseCopyable {
        /// The slot of its sequence numbers.
        let slot: UInt32
        /// Which use of that slot it is.
        let generation: UInt32
    }

    private struct Waiting: BitwiseCopyable {
        let tunnel: Tunnel
        let number: UInt32
        let deadline: UInt64
        let length: Int
        /// The place of its bytes.
        let block: Int
    }

    private let waiting: UnsafeMutablePointer<Waiting>
    private let bytes: UnsafeMutableRawPointer
    private let freeBlocks: UnsafeMutablePointer<Int>
    /// Packets that wait.
    private(set) var count = 0
    /// No packet's time is up before this.
    private var earliest = UInt64.max

    /// Nothing waits.
    init() {
        waiting = .allocate(capacity: Self.capacity)
        bytes = .allocate(byteCount: Self.capacity * Self.packetCapacity, alignment: 64)
        freeBlocks = .allocate(capacity: Self.capacity)
        for index in 0..<Self.capacity { (freeBlocks + index).initialize(to: index) }
    }

    deinit {
        waiting.deallocate()
        bytes.deallocate()
        freeBlocks.deallocate()
    }

    /// How many packets of a tunnel wait.
    func count(of tunnel: Tunnel) -> Int {
        var found = 0
        for index in 0..<count where waiting[index].tunnel == tunnel { found += 1 }
        return found
    }

    /// Whether a packet of a tunnel waits that has that number.
    func holds(_ number: UInt32, of tunnel: Tunnel) -> Bool {
        for index in 0..<count where waiting[index].tunnel == tunnel && waiting[index].number == number { return true }
        return false
    }

    /// The number of the first packet of a tunnel that waits, counted from the last that went on; nil where none does.
    func first(of tunnel: Tunnel, behind last: UInt32) -> UInt32? {
        var best: UInt32?
        for index in 0..<count where waiting[index].tunnel == tunnel {
            let number = waiting[index].number
            if best.map({ number &- last < $0 &- last }) ?? true { best = number }
        }
        return best
    }

    /// A tunnel of which a packet has waited long enough, and the number of the last such packet, counted from `last`.
    func due(now: UInt64) -> Tunnel? {
        guard now >= earliest else { return nil }
        for index in 0..<count where waiting[index].deadline <= now { return waiting[index].tunnel }
        return nil
    }

    /// Whether a packet of a tunnel has waited long enough.
    func isDue(_ tunnel: Tunnel, now: UInt64) -> Bool {
        for index in 0..<count where waiting[index].tunnel == tunnel && waiting[index].deadline <= now { return true }
        return false
    }

    /// Keeps a copy of a packet.
    /// - Returns: false where there is no room.
    mutating func add(_ packet: UnsafeRawBufferPointer, _ number: UInt32, of tunnel: Tunnel, now: UInt64) -> Bool {
        guard count < Self.capacity, packet.count <= Self.packetCapacity, let source = packet.baseAddress else {
            return false
        }
        let block = freeBlocks[Self.capacity - 1 - count]
        (bytes + block * Self.packetCapacity).copyMemory(from: source, byteCount: packet.count)
        let deadline = now &+ Self.time
        (waiting + count).initialize(
            to: Waiting(tunnel: tunnel, number: number, deadline: deadline, length: packet.count, block: block))
        count += 1
        earliest = min(earliest, deadline)
        return true
    }

    /// Takes a packet out.
    /// - Parameter body: gets its bytes, which are gone when it returns.
    @inline(__always)
    mutating func take(_ number: UInt32, of tunnel: Tunnel, _ body: (UnsafeRawBufferPointer) -> Void) {
        for index in 0..<count where waiting[index].tunnel == tunnel && waiting[index].number == number {
            let taken = waiting[index]
            body(UnsafeRawBufferPointer(start: bytes + taken.block * Self.packetCapacity, count: taken.length))
            count -= 1
            waiting[index] = waiting[count]
            freeBlocks[Self.capacity - 1 - count] = taken.block
            earliest = UInt64.max
            for index in 0..<count { earliest = min(earliest, waiting[index].deadline) }
            return
        }
    }
}
